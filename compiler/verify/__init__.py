"""Verify: what the files of a bundle do is what the semantics say, for every workload and destination on every node.

Nothing here uses the stages that plan and render. What it shares with them are the names of chains and the numbers of
classes (`naming`), the evaluator of rules and the arithmetic of prefixes.

The proof has three parts. `claims` works out from the bundle's own account (gateways, policies, workloads, cluster)
what each node has to do. `ruleset` and `routing` read each node's files and compare: every element, mark, translation,
rule, route and address is there, and nothing else. `skeleton` shows of the rules that all nodes have alike that they do
with these elements what the data path promises, by trying every kind of packet. With the inputs at hand the account
itself is compared with them. `written`, last, is no part of the proof: it finds what was changed without a change of
meaning.
"""
