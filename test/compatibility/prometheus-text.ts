/**
 * A strict reader of Prometheus' text format 0.0.4: what `promtool check metrics` rejects is rejected here as well.
 * Source: prometheus.io, "Exposition formats".
 */
export type Sample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};
export type Family = {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
};

const types = new Set(["counter", "gauge", "histogram", "summary", "untyped"]);
const suffixesByType: Readonly<Record<string, readonly string[]>> = {
  histogram: ["_bucket", "_sum", "_count"],
  summary: ["", "_sum", "_count"],
};
const samplePattern = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;

type OpenFamily = { name: string; type: string; help: string; samples: Sample[] };

/** @throws Error naming the line that is wrong. */
export function parsePrometheusText(page: string): ReadonlyMap<string, Family> {
  if (!page.endsWith("\n")) throw new Error("the page does not end with a line end");
  const families = new Map<string, OpenFamily>();
  let current: OpenFamily | undefined;
  for (const line of page.split("\n")) {
    if (line === "") continue;
    const [, keyword, name, rest = ""] = /^# (HELP|TYPE) (\S+)(?: (.*))?$/.exec(line) ?? [];
    if (keyword === undefined || name === undefined) {
      if (line.startsWith("#")) continue;
      if (current === undefined) throw new Error(`sample before any family: ${line}`);
      takeSample(current, line);
      continue;
    }
    if (current?.name !== name) {
      if (families.has(name)) throw new Error(`the family ${name} is not in one piece`);
      current = { name, type: "untyped", help: "", samples: [] };
      families.set(name, current);
    }
    takeComment(current, keyword, rest, line);
  }
  for (const family of families.values()) checkFamily(family);
  return families;
}

function takeComment(family: OpenFamily, keyword: string, rest: string, line: string): void {
  if (family.samples.length > 0) throw new Error(`${keyword} behind the samples: ${line}`);
  if (keyword === "HELP") family.help = rest;
  else if (types.has(rest)) family.type = rest;
  else throw new Error(`unknown type: ${line}`);
}

function takeSample(family: OpenFamily, line: string): void {
  const [, name, labelText = "", valueText] = samplePattern.exec(line) ?? [];
  if (name === undefined || valueText === undefined) throw new Error(`not a sample: ${line}`);
  const suffixes = suffixesByType[family.type] ?? [""];
  if (!suffixes.some((suffix) => name === family.name + suffix)) throw new Error(`${line} is not of ${family.name}`);
  const value = /^[+-]?Inf$/.test(valueText) ? Number(`${valueText}inity`) : Number(valueText);
  if (Number.isNaN(value) && valueText !== "NaN") throw new Error(`not a number: ${line}`);
  family.samples.push({ name, labels: readLabels(labelText, line), value });
}

function readLabels(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  label.lastIndex = 0;
  while (label.lastIndex < text.length) {
    const [, name, value] = label.exec(text) ?? [];
    if (name === undefined || value === undefined) throw new Error(`labels cannot be read: ${line}`);
    if (name in labels) throw new Error(`label ${name} stands twice: ${line}`);
    labels[name] = value;
  }
  return labels;
}

function checkFamily(family: Family): void {
  const seen = new Set<string>();
  for (const { name, labels, value } of family.samples) {
    const identity = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
    if (seen.has(identity)) throw new Error(`${identity} stands twice`);
    seen.add(identity);
    if (family.type === "counter" && !(value >= 0)) throw new Error(`the counter ${identity} is ${value}`);
  }
  if (family.help === "") throw new Error(`${family.name} has no help text`);
  if (family.type === "histogram") checkHistogram(family);
}

/** Buckets grow, the last is +Inf, and equals the count. */
function checkHistogram({ name, samples }: Family): void {
  const series = new Map<string, Sample[]>();
  for (const sample of samples) {
    const { le: _, ...others } = sample.labels;
    const key = JSON.stringify(Object.entries(others).sort());
    series.set(key, [...(series.get(key) ?? []), sample]);
  }
  for (const [key, own] of series) {
    const buckets = own.filter((sample) => sample.name === `${name}_bucket`);
    const count = own.find((sample) => sample.name === `${name}_count`)?.value;
    for (const [at, bucket] of buckets.entries()) {
      const before = buckets[at - 1];
      const grows = before === undefined || (bound(bucket) > bound(before) && bucket.value >= before.value);
      if (!grows) throw new Error(`buckets of ${name} ${key} do not grow`);
    }
    const last = buckets.at(-1);
    if (last === undefined || last.labels["le"] !== "+Inf" || last.value !== count) {
      throw new Error(`${name} ${key} does not end with +Inf = count`);
    }
  }
}

function bound({ labels }: Sample): number {
  const text = labels["le"] ?? "";
  return text === "+Inf" ? Number.POSITIVE_INFINITY : Number(text);
}
