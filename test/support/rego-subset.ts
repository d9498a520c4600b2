/**
 * As much of Rego as the example policies use, for tests where OPA is not at hand: partial set rules (`NAME contains msg
 * if { ... }`) whose bodies are conditions, one a line, tried for every value of each `some x in`. What is not known is
 * an error, so that a policy cannot pass because it was not understood. Semantics: openpolicyagent.org, Policy Language.
 */
type Bindings = ReadonlyMap<string, unknown>;
type Rule = { readonly set: string; readonly body: readonly string[] };

/** The messages of each set that the policy defines, sorted. */
export function evaluateRego(policy: string, input: unknown): Readonly<Record<string, readonly string[]>> {
  const sets = new Map<string, Set<string>>();
  for (const { set, body } of parseRules(policy)) {
    const messages = sets.get(set) ?? new Set<string>();
    sets.set(set, messages);
    for (const bindings of solve(body, new Map([["input", input]]))) messages.add(String(bindings.get("msg")));
  }
  return Object.fromEntries([...sets].map(([name, messages]) => [name, [...messages].sort()]));
}

function parseRules(policy: string): readonly Rule[] {
  const rules: Rule[] = [];
  let open: { readonly set: string; readonly body: string[] } | null = null;
  for (const line of policy.split("\n").map((text) => text.replace(/(^|\s)#.*$/, "").trim())) {
    if (line === "" || /^(package|import) /.test(line)) continue;
    const head = /^(\w+) contains msg if \{$/.exec(line);
    if (open === null && head !== null) open = { set: head[1] ?? "", body: [] };
    else if (open !== null && line === "}") {
      rules.push(open);
      open = null;
    } else if (open !== null) open.body.push(line);
    else throw new Error(`not understood outside of a rule: ${line}`);
  }
  return rules;
}

/** Every way to make all conditions true. An undefined value makes a condition false. */
function solve(body: readonly string[], bindings: Bindings): readonly Bindings[] {
  const [condition, ...rest] = body;
  if (condition === undefined) return [bindings];
  const some = /^some (\w+) in (.+)$/.exec(condition);
  if (some !== null) {
    const list = value(some[2] ?? "", bindings);
    if (!Array.isArray(list)) return [];
    return list.flatMap((item) => solve(rest, new Map([...bindings, [some[1] ?? "", item]])));
  }
  const assignment = /^(\w+) := (.+)$/.exec(condition);
  if (assignment !== null) {
    const assigned = value(assignment[2] ?? "", bindings);
    return assigned === undefined ? [] : solve(rest, new Map([...bindings, [assignment[1] ?? "", assigned]]));
  }
  return holds(condition, bindings) ? solve(rest, bindings) : [];
}

function holds(condition: string, bindings: Bindings): boolean {
  if (condition.startsWith("not ")) return !holds(condition.slice(4), bindings);
  const membership = /^("[^"]*"|[\w.]+) in (.+)$/.exec(condition);
  if (membership !== null) {
    const list = value(membership[2] ?? "", bindings);
    return Array.isArray(list) && list.includes(value(membership[1] ?? "", bindings));
  }
  const comparison = /^(.+?) (==|!=|<=|>=|<|>) (.+)$/.exec(condition);
  if (comparison === null) throw new Error(`not understood: ${condition}`);
  const left = value(comparison[1] ?? "", bindings);
  const right = value(comparison[3] ?? "", bindings);
  if (left === undefined || right === undefined) return false;
  switch (comparison[2]) {
    case "==":
      return left === right;
    case "!=":
      return left !== right;
    default:
      return compareNumbers(comparison[2] ?? "", Number(left), Number(right));
  }
}

function compareNumbers(operator: string, left: number, right: number): boolean {
  if (operator === "<") return left < right;
  if (operator === "<=") return left <= right;
  return operator === ">" ? left > right : left >= right;
}

function value(expression: string, bindings: Bindings): unknown {
  const text = expression.trim();
  if (/^(-?\d+|"[^"]*"|true|false|null)$/.test(text)) return JSON.parse(text);
  const count = /^count\((.+)\)$/.exec(text);
  if (count !== null) {
    const list = value(count[1] ?? "", bindings);
    return Array.isArray(list) ? list.length : undefined;
  }
  const format = /^sprintf\(("[^"]*"), \[(.+)\]\)$/.exec(text);
  if (format !== null) {
    const values = (format[2] ?? "").split(", ").map((part) => value(part, bindings));
    if (values.includes(undefined)) return undefined;
    return (JSON.parse(format[1] ?? '""') as string).replace(/%[sdv]/g, () => String(values.shift()));
  }
  const difference = /^(\w+) - (\d+)$/.exec(text);
  if (difference !== null) return Number(value(difference[1] ?? "", bindings)) - Number(difference[2]);
  const reference = /^(\w+)((?:\.\w+|\[[^\]]+\])*)$/.exec(text);
  if (reference === null || !bindings.has(reference[1] ?? "")) throw new Error(`not understood: ${text}`);
  let found = bindings.get(reference[1] ?? "");
  for (const [, name, index] of (reference[2] ?? "").matchAll(/\.(\w+)|\[([^\]]+)\]/g)) {
    const key = name ?? String(value(index ?? "", bindings));
    found = typeof found === "object" && found !== null ? (found as Record<string, unknown>)[key] : undefined;
  }
  return found;
}
