"""What GitLab wants in forms of its own; needs Python alone.

`quality FILE`: prints findings, read from SARIF, as a code quality report. `note FILE`: puts Markdown into the one note
of the merge request that is ours, by GitLab's API and the token in EGRESSC_NOTE_TOKEN.
"""

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any, Final

_MARK: Final = "<!-- egressc review -->\n"
_SEVERITIES: Final = {"error": "critical", "warning": "minor"}
_PAGE: Final = 100


def main() -> int:
    """Runs one of the two; returns the exit status."""
    command, file = sys.argv[1:]
    text = Path(file).read_text(encoding="utf-8")
    if command == "quality":
        json.dump(quality(json.loads(text)), sys.stdout, indent=2)
    else:
        note(_MARK + text)
    return 0


def quality(sarif: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the findings of a SARIF log as a code quality report; those without a place are left out."""
    report = []
    for result in sarif["runs"][0]["results"]:
        for location in result.get("locations", ())[:1]:
            place = location["physicalLocation"]
            report.append(
                {
                    "description": result["message"]["text"],
                    "check_name": result["ruleId"],
                    "fingerprint": next(iter(result["partialFingerprints"].values())),
                    "severity": _SEVERITIES.get(result["level"], "info"),
                    "location": {
                        "path": place["artifactLocation"]["uri"],
                        "lines": {"begin": place.get("region", {}).get("startLine", 1)},
                    },
                }
            )
    return report


def note(body: str) -> None:
    """Writes the note, or writes over what an earlier run wrote."""
    environ = os.environ
    notes = (
        f"{environ['CI_API_V4_URL']}/projects/{environ['CI_PROJECT_ID']}"
        f"/merge_requests/{environ['CI_MERGE_REQUEST_IID']}/notes"
    )
    mine = _call("GET", f"{environ['CI_API_V4_URL']}/user", None)["id"]
    page = 1
    while found := _call("GET", f"{notes}?per_page={_PAGE}&page={page}", None):
        for item in found:
            if item["author"]["id"] == mine and item["body"].startswith(_MARK.strip()):
                _call("PUT", f"{notes}/{item['id']}", {"body": body})
                return
        page += 1
    _call("POST", notes, {"body": body})


def _call(method: str, url: str, data: object) -> Any:  # noqa: ANN401  # any JSON
    request = urllib.request.Request(  # noqa: S310  # GitLab's own address, from GitLab
        url,
        data=None if data is None else json.dumps(data).encode(),
        headers={"PRIVATE-TOKEN": os.environ["EGRESSC_NOTE_TOKEN"], "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # the same
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main())
