// What becomes of packets, out of the page's data alone; touches no element. `data` is `PageData` of compiler/page/data.py.

const NONE = -1;

// Reads an IP address as `ipaddress` of Python does; gives {family: 0 for IPv4 or 1 for IPv6, number}, or null.
function readAddress(text) {
  const four = readIPv4(text);
  if (four !== null) return {family: 0, number: four};
  const six = readIPv6(text);
  return six === null ? null : {family: 1, number: six};
}

function readIPv4(text) {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256)) return null;
  return parts.reduce((number, part) => (number << 8n) | BigInt(part), 0n);
}

function readIPv6(text) {
  const tail = text.slice(text.lastIndexOf(":") + 1);
  if (text.includes(":") && tail.includes(".")) {
    const four = readIPv4(tail);
    if (four === null) return null;
    const words = `${(four >> 16n).toString(16)}:${(four & 0xffffn).toString(16)}`;
    text = text.slice(0, text.length - tail.length) + words;
  }
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const [head, rest] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const gap = rest === undefined ? 0 : 8 - head.length - rest.length;
  if (rest === undefined ? head.length !== 8 : gap < 1) return null;
  const words = [...head, ...Array(gap).fill("0"), ...(rest ?? [])];
  if (!words.every((word) => /^[0-9a-f]{1,4}$/i.test(word))) return null;
  return words.reduce((number, word) => (number << 16n) | BigInt(`0x${word}`), 0n);
}

// The value of a table at an address.
function lookUp(table, number) {
  let [low, high] = [0, table.starts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (BigInt(table.starts[middle]) <= number) low = middle;
    else high = middle - 1;
  }
  return table.values[low];
}

// A workload as an object, by its place.
function workloadAt(data, place) {
  const [machine, namespace, name, node, addresses, kind] = data.workloads[place];
  return {
    kind: machine ? "VirtualMachine" : "Pod",
    namespace: data.namespaces[namespace],
    name,
    title: `${data.namespaces[namespace]}/${name}`,
    node: data.nodes[node],
    nodePlace: node,
    addresses: addresses === "" ? [] : addresses.split(" "),
    kindOf: data.classes[kind],
  };
}

// Finds a workload by `NAMESPACE/NAME` or by one of its addresses; gives its place, or -1.
function findWorkload(data, text) {
  const slash = text.indexOf("/");
  if (slash !== -1) {
    const namespace = data.namespaces.indexOf(text.slice(0, slash));
    const name = text.slice(slash + 1);
    return data.workloads.findIndex((item) => item[1] === namespace && item[2] === name);
  }
  const wanted = readAddress(text);
  if (wanted === null) return NONE;
  return data.workloads.findIndex((item) =>
    item[4].split(" ").some((own) => {
      const address = readAddress(own);
      return address !== null && address.family === wanted.family && address.number === wanted.number;
    }),
  );
}

// The fate of the first packet of a connection: an object, with `fault`, a sentence, where there is none.
function fateOf(data, from, to) {
  if (from === "") return {fault: "Name a workload as namespace/name, or give its address.", field: "from"};
  const destination = readAddress(to);
  if (destination === null) return {fault: "Give one IP address as the destination, such as 203.0.113.10.", field: "to"};
  const place = findWorkload(data, from);
  if (place === NONE) return {fault: `There is no workload ${from} here.`, field: "from"};
  const workload = workloadAt(data, place);
  const {family, number} = destination;
  const address = workload.addresses.find((own) => readAddress(own).family === family);
  if (address === undefined) {
    const word = family === 0 ? "IPv4" : "IPv6";
    return {fault: `${workload.title} has no ${word} address; it has ${workload.addresses.join(", ")}.`, field: "to"};
  }
  if (!workload.node.part) {
    return {fault: `${workload.title} runs on node ${workload.node.name}, of which the bundle has no rules.`, field: "from"};
  }
  const outcome = data.outcomes[lookUp(data.outcomeTables[workload.kindOf.outcomes[family]], number)];
  const deciding = lookUp(data.decisionTables[workload.kindOf.decisions[family]], number);
  const decision = deciding === NONE ? null : data.decisions[deciding];
  const policy = decision === null ? null : data.policies[decision.policy];
  const master = outcome.node === NONE ? null : data.nodes[outcome.node];
  return {
    verdict: outcome.verdict,
    policy: policy === null ? null : policy.name,
    cidr: decision === null ? null : decision.cidr,
    excluded: decision !== null && decision.excluded,
    gateway: policy === null || decision.excluded ? null : policy.gateway,
    node: outcome.verdict === "egress" ? master.name : null,
    source: outcome.source,
    interface: outcome.interface,
    why: outcome.reason,
    inCluster: lookUp(data.cluster[family], number) === 1,
    workload,
    address,
    to,
    nextHop: master === null || outcome.node === workload.nodePlace ? null : family === 0 ? master.ipv4 : master.ipv6,
    sentence: reasonFor(data, workload, decision, policy, outcome, lookUp(data.cluster[family], number) === 1),
  };
}

const DROPS = {
  no_gateway: "the gateway has no suitable node, so its traffic is dropped",
  no_source: "the gateway has no source address of this family, so its traffic is dropped",
  no_next_hop: "there is no next hop of this family, so the packet is dropped",
  stray: "it arrives at a node that does not serve its gateway, and is dropped",
};

function reasonFor(data, workload, decision, policy, outcome, inCluster) {
  if (inCluster) return "the destination lies inside the cluster, which is never redirected";
  if (outcome.reason === "contested") {
    return "another workload has its source address too, and a policy sends one of the two to a gateway";
  }
  if (workload.kindOf.policies.length === 0) return "no policy selects the workload";
  if (policy === null) return "no policy that selects the workload has a CIDR that holds the destination";
  if (decision.excluded) return `policy ${policy.name} excludes ${decision.cidr}`;
  const decides = `policy ${policy.name} sends ${decision.cidr} to gateway ${policy.gateway}`;
  if (outcome.verdict === "drop") return `${decides}: ${DROPS[outcome.reason]}`;
  return `${decides}, whose active node is ${data.nodes[outcome.node].name}`;
}
