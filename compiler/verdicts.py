"""What may be done with a packet, in nft's words; the chains that drop count what they drop, each for its reason."""

from typing import Final

BYPASS: Final = "return"
DROP_NO_GATEWAY: Final = "goto drop_no_gateway"
DROP_NO_SOURCE: Final = "goto drop_no_source"
DROP_NO_NEXT_HOP: Final = "goto drop_no_next_hop"
DROP_STRAY: Final = "goto drop_stray"
DROP_CONTESTED: Final = "goto drop_contested"
