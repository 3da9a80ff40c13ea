// Puts the page together: the four listings, the form, the choice between light and dark.

// The styles follow the system until one of the two is chosen.
function setUpTheme() {
  const button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme === undefined ? system.matches : root.dataset.theme === "dark");
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    show();
  });
  system.addEventListener("change", show);
  show();
}

// Names on one line each, as far as they are short enough for a cell.
function onOneLine(list) {
  return several(...list.flatMap((name, index) => [index === 0 ? "" : ", ", name.length > 32 ? name : make("span", {class: "name"}, name)]));
}

function names(data, places) {
  return places.map((place) => data.nodes[place].name);
}

function badge(kind, text) {
  return make("span", {class: `badge ${kind}`}, text);
}

function several(...content) {
  const home = document.createDocumentFragment();
  home.append(...content);
  return home;
}

function nodesLeftOut(data, gateway) {
  const total = gateway.leftOut.reduce((sum, group) => sum + group.count, 0);
  if (total === 0) return several(make("span", {class: "muted"}, "none"));
  const list = make("ul", {});
  for (const group of gateway.leftOut) {
    const more = group.count - group.nodes.length;
    const shown = names(data, group.nodes).join(", ") + (more > 0 ? ` and ${more.toLocaleString("en")} more` : "");
    list.append(make("li", {}, make("b", {}, group.reasons.join(", ")), `: ${shown}`));
  }
  return make("details", {}, make("summary", {}, total === 1 ? "1 node" : `${total.toLocaleString("en")} nodes`), list);
}

function leftOutText(data, gateway) {
  return gateway.leftOut.flatMap((group) => [...group.reasons, ...names(data, group.nodes)]).join(" ");
}

function gatewayColumns(data) {
  const at = (place) => data.gateways[place];
  const mode = (place) => (at(place).virtual ? "virtual IP" : "address of the node");
  const master = (place) => (at(place).master === NONE ? "none: dropped" : data.nodes[at(place).master].name);
  const source = (place) => {
    if (at(place).addresses.length > 0) return at(place).addresses.join(", ");
    return at(place).master === NONE ? "none" : `known on the node only${at(place).interface ? `, of ${at(place).interface}` : ""}`;
  };
  return [
    {
      title: "Gateway",
      text: (place) => `${at(place).name} ${mode(place)}`,
      cell: (place) => several(make("b", {}, onOneLine([at(place).name])), make("span", {class: "small"}, mode(place))),
    },
    {
      title: "Master",
      text: master,
      cell: (place) => (at(place).master === NONE ? several(badge("drop", "no node: dropped"), make("span", {class: "small"}, at(place).message)) : onOneLine([master(place)])),
    },
    {
      title: "Standbys, in order",
      text: (place) => names(data, at(place).standbys).join(", "),
      cell: (place) => {
        const list = names(data, at(place).standbys);
        if (list.length === 0) return make("span", {class: "muted"}, "none");
        return several(onOneLine(list.slice(0, 5)), list.length > 5 ? ` and ${(list.length - 5).toLocaleString("en")} more` : "");
      },
    },
    {title: "Source address", text: source, cell: (place) => make("code", {}, source(place))},
    {title: "Left out", text: (place) => leftOutText(data, at(place)), cell: (place) => nodesLeftOut(data, at(place)), number: (place) => at(place).leftOut.reduce((sum, group) => sum + group.count, 0)},
    {title: "Policies", text: (place) => at(place).policies.toLocaleString("en"), number: (place) => at(place).policies},
    {title: "Workloads", text: (place) => at(place).workloads.toLocaleString("en"), number: (place) => at(place).workloads},
  ];
}

function cidrs(list) {
  if (list.length === 0) return make("span", {class: "muted"}, "none");
  const text = list.slice(0, 4).join(", ");
  if (list.length <= 4) return make("code", {}, text);
  return make("details", {}, make("summary", {}, make("code", {}, text), ` and ${list.length - 4} more`), make("code", {}, list.slice(4).join(", ")));
}

function policyColumns(data) {
  const at = (place) => data.policies[place];
  return [
    {title: "Rank", text: (place) => String(place + 1), number: (place) => place},
    {title: "Policy", text: (place) => at(place).name, cell: (place) => make("b", {}, onOneLine([at(place).name]))},
    {title: "Gateway", text: (place) => at(place).gateway, cell: (place) => onOneLine([at(place).gateway])},
    {title: "Destinations", text: (place) => at(place).destinations.join(" "), cell: (place) => cidrs(at(place).destinations), number: (place) => at(place).destinations.length},
    {title: "Except", text: (place) => at(place).excluded.join(" "), cell: (place) => cidrs(at(place).excluded), number: (place) => at(place).excluded.length},
    {title: "Workloads", text: (place) => at(place).workloads.toLocaleString("en"), number: (place) => at(place).workloads},
  ];
}

// What may become of packets of a class, most noteworthy first.
function endsOf(data, kind) {
  const found = new Map();
  for (const table of kind.outcomes.filter((place) => place !== NONE)) {
    for (const value of data.outcomeTables[table].values) {
      const outcome = data.outcomes[value];
      const text = {
        egress: `${outcome.gateway} ${outcome.source ?? "(address of the node)"}`,
        drop: outcome.gateway === null ? "dropped: address contested" : `dropped: ${outcome.gateway}`,
        bypass: "",
      }[outcome.verdict];
      if (text !== "") found.set(text, outcome.verdict);
    }
  }
  return [...found].sort((one, other) => collator.compare(one[1], other[1]) || collator.compare(one[0], other[0]));
}

function workloadColumns(data) {
  const ends = data.classes.map((kind) => endsOf(data, kind));
  const at = (place) => data.workloads[place];
  const title = (place) => `${data.namespaces[at(place)[1]]}/${at(place)[2]}`;
  return [
    {title: "Workload", text: title, cell: (place) => several(make("b", {}, onOneLine([title(place)])), at(place)[0] ? make("span", {class: "small"}, "virtual machine") : "")},
    {title: "Address", text: (place) => at(place)[4], cell: (place) => make("code", {}, at(place)[4].split(" ").join(", "))},
    {title: "Node", text: (place) => data.nodes[at(place)[3]].name, cell: (place) => onOneLine([data.nodes[at(place)[3]].name])},
    {
      title: "Policies",
      text: (place) => data.classes[at(place)[5]].policies.map((policy) => data.policies[policy].name).join(", "),
      cell: (place) => {
        const list = data.classes[at(place)[5]].policies.map((policy) => data.policies[policy].name);
        return list.length === 0 ? make("span", {class: "muted"}, "none") : several(onOneLine(list.slice(0, 3)), list.length > 3 ? ` and ${list.length - 3} more` : "");
      },
    },
    {
      title: "Leaves by",
      text: (place) => ends[at(place)[5]].map(([text]) => text).join(", ") || "ordinary way",
      cell: (place) => {
        const list = ends[at(place)[5]];
        if (list.length === 0) return badge("bypass", "ordinary way");
        const more = list.length > 3 ? [make("span", {class: "small"}, `and ${list.length - 3} more`)] : [];
        return several(...list.slice(0, 3).map(([text, verdict]) => badge(verdict, text)), ...more);
      },
    },
  ];
}

function noteColumns(data) {
  const at = (place) => data.notes[place];
  return [
    {title: "Severity", text: (place) => at(place).severity, cell: (place) => badge(at(place).severity === "error" ? "drop" : "warn", at(place).severity)},
    ...(data.notes.some((note) => note.code !== "") ? [{title: "Code", text: (place) => at(place).code, cell: (place) => make("code", {}, at(place).code)}] : []),
    {title: "Place", text: (place) => at(place).place},
    {title: "What", text: (place) => at(place).message},
  ];
}

function setUp() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const section = (id) => document.getElementById(id);
  setUpTheme();
  const askFrom = setUpPacket(data);
  const searchWorkloads = makeListing(section("workloads"), {
    what: "workloads", count: data.workloads.length, columns: workloadColumns(data), size: 25, hint: "Name, address, node, policy or gateway",
    act: {title: "Path", run: (place) => askFrom(workloadAt(data, place).title)},
  });
  const searchPolicies = makeListing(section("policies"), {
    what: "policies", count: data.policies.length, columns: policyColumns(data), size: 15, hint: "Name, gateway or CIDR",
    act: {title: "Workloads", run: (place) => searchWorkloads(data.policies[place].name)},
  });
  makeListing(section("gateways"), {
    what: "gateways", count: data.gateways.length, columns: gatewayColumns(data), size: 10, hint: "Name, node, address or reason",
    act: {title: "Policies", run: (place) => searchPolicies(data.gateways[place].name)},
  });
  makeListing(section("notes"), {
    what: "diagnostics", count: data.notes.length, columns: noteColumns(data), size: 15, hint: "Code, place or words",
  });
}

setUp();
