// The form that asks for the path of a packet, and the path drawn step by step.

const VERDICTS = {egress: "Leaves by a gateway", bypass: "Goes its ordinary way", drop: "Dropped"};
const CHOICES = 12;

function fateText(fate) {
  const source = fate.source ?? "the address of the node's interface";
  const ends = {
    egress: `leaves by node ${fate.node} with source ${source}`,
    bypass: "goes its ordinary way, untouched",
    drop: "is dropped",
  };
  return `${fate.workload.title} (${fate.address}) to ${fate.to} ${ends[fate.verdict]}: ${fate.sentence}.`;
}

// The steps of the path: what it is, its name, and what happens there.
function stepsOf(fate) {
  const decided = fate.policy === null ? "no policy decides" : `${fate.policy}: ${fate.excluded ? "except " : ""}${fate.cidr}`;
  const steps = [
    {kind: "workload", what: fate.workload.kind === "Pod" ? "Pod" : "Virtual machine", name: fate.workload.title, lines: [fate.address]},
    {kind: "node", what: "Its node", name: fate.workload.node.name, lines: [fate.inCluster ? "inside the cluster" : decided]},
  ];
  if (fate.verdict === "drop") {
    if (fate.gateway !== null) steps.push({kind: "gateway", what: "Gateway", name: fate.gateway, lines: []});
    return [...steps, {kind: "drop", what: "End", name: "Dropped", lines: [dropLine(fate)]}];
  }
  if (fate.verdict === "bypass") {
    return [...steps, {kind: "bypass", what: "Destination", name: fate.to, lines: ["its ordinary way"]}];
  }
  const source = fate.source ?? "of the node";
  const origin = fate.interface === null ? [] : [`of interface ${fate.interface}`];
  if (fate.node !== fate.workload.node.name) {
    steps.push({kind: "hop", what: "Next hop", name: fate.nextHop ?? "unknown", lines: [`InternalIP of ${fate.node}`]});
  }
  return [
    ...steps,
    {kind: "gateway", what: "Gateway", name: fate.gateway, lines: [`on node ${fate.node}`]},
    {kind: "source", what: "Source address", name: source, lines: origin},
    {kind: "outside", what: "Outside", name: fate.to, lines: ["sees the source address"]},
  ];
}

function dropLine(fate) {
  const lines = {
    no_gateway: "no suitable node",
    no_source: "no source address of this family",
    no_next_hop: "no next hop of this family",
    stray: "not served where it arrives",
    contested: "its address is another's too",
  };
  return lines[fate.why];
}

// A name that may be broken behind its slash.
function breakable(name) {
  const [head, ...rest] = name.split("/");
  return rest.length === 0 ? [head] : [`${head}/`, make("wbr", {}), rest.join("/")];
}

function makeAnswer(fate) {
  const path = make("ol", {class: "path", "aria-label": "The path, step by step"});
  for (const step of stepsOf(fate)) {
    const lines = step.lines.map((line) => make("span", {class: "step-line"}, line));
    const item = make("li", {class: `step ${step.kind}`}, make("span", {class: "step-what"}, step.what));
    item.append(make("strong", {}, ...breakable(step.name)), ...lines);
    path.append(item);
  }
  return [
    make("p", {class: "verdict"}, make("span", {class: `badge ${fate.verdict}`}, VERDICTS[fate.verdict])),
    path,
    make("p", {class: "words"}, fateText(fate)),
  ];
}

function setUpPacket(data) {
  const [form, from, to] = ["packet-form", "packet-from", "packet-to"].map((id) => document.getElementById(id));
  const [fault, answer] = ["packet-fault", "packet-answer"].map((id) => document.getElementById(id));
  const choices = document.getElementById("packet-choices");
  const search = makeSearch(data.workloads.length, (place) => {
    const item = workloadAt(data, place);
    return `${item.title} ${item.addresses.join(" ")}`;
  });
  let active = NONE;

  const ask = () => {
    const fate = fateOf(data, from.value.trim(), to.value.trim());
    fault.textContent = fate.fault ?? "";
    for (const [name, field] of Object.entries({from, to})) {
      if (fate.field === name) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
    answer.replaceChildren(...(fate.fault === undefined ? makeAnswer(fate) : []));
    if (fate.fault !== undefined) (fate.field === "from" ? from : to).focus();
  };
  const close = () => {
    choices.hidden = true;
    active = NONE;
    from.setAttribute("aria-expanded", "false");
    from.removeAttribute("aria-activedescendant");
  };
  const mark = (place) => {
    active = place;
    [...choices.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === place)));
    if (place === NONE) from.removeAttribute("aria-activedescendant");
    else {
      from.setAttribute("aria-activedescendant", choices.children[place].id);
      choices.children[place].scrollIntoView({block: "nearest"});
    }
  };
  const take = (item) => {
    from.value = item.dataset.title;
    close();
    to.focus();
  };
  const offer = () => {
    const found = search(from.value, CHOICES);
    choices.replaceChildren(
      ...found.map((place, index) => {
        const item = workloadAt(data, place);
        const option = make("li", {role: "option", id: `packet-choice-${index}`, "aria-selected": "false"}, item.title);
        option.append(make("span", {}, item.addresses.join(", ")));
        option.dataset.title = item.title;
        return option;
      }),
    );
    active = NONE;
    choices.hidden = found.length === 0;
    from.setAttribute("aria-expanded", String(found.length > 0));
    from.removeAttribute("aria-activedescendant");
  };

  from.addEventListener("input", offer);
  from.addEventListener("blur", close);
  from.addEventListener("keydown", (event) => {
    const count = choices.hidden ? 0 : choices.children.length;
    if (event.key === "ArrowDown" && count === 0) offer();
    else if (event.key === "ArrowDown") mark((active + 1) % count);
    else if (event.key === "ArrowUp" && count > 0) mark((active <= 0 ? count : active) - 1);
    else if (event.key === "Escape" && count > 0) close();
    else if (event.key === "Enter" && active !== NONE) take(choices.children[active]);
    else return;
    event.preventDefault();
  });
  choices.addEventListener("mousedown", (event) => {
    event.preventDefault(); // the field keeps the focus, so that the list stays
    const item = event.target.closest("li");
    if (item !== null) take(item);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    close();
    ask();
  });
  return (title) => {
    from.value = title;
    answer.replaceChildren();
    fault.textContent = "";
    document.getElementById("packet").scrollIntoView();
    if (to.value.trim() !== "") ask();
    to.focus({preventScroll: true});
  };
}
