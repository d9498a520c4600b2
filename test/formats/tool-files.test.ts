/**
 * The files of the tool, in every version that there ever was: each kept example is read by this haplan, what is newer is
 * refused, and a way up from version to version leads to the current one.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { appliedSpecFormat, parseAppliedSpec } from "../../cmd/haplan/applied-spec.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { FileFormat } from "../../src/base/file-format.ts";
import type { Json } from "../../src/base/json.ts";
import { decodePlanFile, encodePlanFile, planFileFormat } from "../../src/plan/plan-file.ts";
import { specReader } from "../../src/providers/spec-reader.ts";
import { specFormat, toCurrentVersion } from "../../src/spec/spec-version.ts";
import { createJournalFile, journalFormat } from "../../src/state/journal.ts";
import { parseState, renderState, stateFormat } from "../../src/state/state-document.ts";

const examples = fileURLToPath(new URL("examples", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "haplan-formats-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const advice = { text: "Look at it." };

async function readJournal(text: string, format?: FileFormat): Promise<readonly object[]> {
  const path = join(directory, "journal.jsonl");
  writeFileSync(path, text);
  const options = { path, clock: systemClock, beforeWrite: async () => {} };
  return createJournalFile(format === undefined ? options : { ...options, format }).read();
}

function readPlan(text: string, format?: FileFormat): object {
  const decoded = decodePlanFile(text, format);
  if (decoded.problem !== undefined) throw new Error(`${decoded.problem.summary}. ${decoded.problem.detail}`);
  return decoded.plan;
}

function readSpec(text: string): object {
  const { spec, diagnostics } = specReader.parse("cluster.yaml", text);
  if (spec === null) throw new Error(diagnostics.map(({ summary, detail }) => `${summary}. ${detail}`).join());
  return spec;
}

type Kind = {
  readonly name: string;
  readonly format: FileFormat;
  /** Throws with what the user is told. */
  read(text: string, format?: FileFormat): unknown;
  /** The example as a version that this haplan does not know would have it. */
  newer(text: string): string;
  /** Of the content that was read: what each example has to say. */
  readonly says: object;
  readonly refusal: RegExp;
};

const kinds: readonly Kind[] = [
  {
    name: "state",
    format: stateFormat,
    read: (text, format) => parseState(text, "state.json", advice, undefined, format),
    newer: (text) => text.replace('"version": 1', '"version": 2'),
    says: { clusterName: "demo", serial: 22 },
    refusal:
      /newer haplan\nstate\.json has version 2, but this haplan supports versions up to 1\. It was not changed\. Use the haplan/,
  },
  {
    name: "plan",
    format: planFileFormat,
    read: readPlan,
    newer: (text) => text.replace('"version": 1', '"version": 2'),
    says: { formatVersion: 1, spec: { name: "demo" } },
    refusal: /plan file has version 2\. This haplan reads version 1\. Make the plan with the haplan that applies it/,
  },
  {
    name: "journal",
    format: journalFormat,
    read: readJournal,
    // Its checksum is in front of each line: written by a haplan whose current version is 2.
    newer: () => "",
    says: [{ sequence: 1, phase: "intent", stepId: "createAuthority", action: { kind: "createAuthority" } }],
    refusal:
      /newer haplan\n.*journal\.jsonl:1 has version 2, but this haplan supports versions up to 1\..*with the haplan that began it/s,
  },
  {
    name: "applied-spec",
    format: appliedSpecFormat,
    read: (text, format) => parseAppliedSpec(text, "applied-spec.json", format),
    newer: (text) => text.replace('"version": 1', '"version": 2'),
    says: { spec: { name: "demo" } },
    refusal: /saved by a newer haplan/,
  },
  {
    name: "spec",
    format: specFormat,
    read: readSpec,
    newer: (text) => text.replace("haplan.dev/v1", "haplan.dev/v2"),
    says: { name: "demo" },
    refusal: /version 2 of its language\. This haplan knows up to haplan\.dev\/v1\. Use a newer haplan/,
  },
];

describe.each(kinds)("the format of the $name", ({ name, format, read, newer, says, refusal }) => {
  const files = readdirSync(join(examples, name)).toSorted();
  const textOf = (file: string): string => readFileSync(join(examples, name, file), "utf8");

  it("has an example of every version, and a way up from each", () => {
    const versions = Array.from({ length: format.current }, (_, at) => at + 1);
    expect(files.map((file) => Number(/^v(\d+)\./.exec(file)?.[1]))).toEqual(versions);
    expect(Object.keys(format.upgrades).map(Number)).toEqual(versions.slice(0, -1));
  });

  it.each(files)("is read as %s has it", async (file) => {
    const content = await read(textOf(file));
    expect(content).toMatchObject(Array.isArray(says) ? [...says, ...(content as unknown[]).slice(says.length)] : says);
  });

  it("is refused when it is newer, with both versions and what to do", async () => {
    const text = newer(textOf(files.at(-1)!));
    const refused = async (): Promise<unknown> => read(name === "journal" ? await newerJournal() : text);
    await expect(refused()).rejects.toThrow(refusal);
  });
});

async function newerJournal(): Promise<string> {
  const path = join(directory, "newer.jsonl");
  const format: FileFormat = { current: 2, upgrades: { 1: (content) => content } };
  const journal = createJournalFile({ path, clock: systemClock, beforeWrite: async () => {}, format });
  await journal.append({ planId: "p", stepId: "s", phase: "intent" });
  return readFileSync(path, "utf8");
}

/** Two versions later: the first renames a field, the second needs what the first made of it. */
const later: FileFormat = {
  current: 3,
  upgrades: {
    1: ({ haplanVersion, ...content }) => ({ ...content, writtenBy: haplanVersion }),
    2: ({ writtenBy, ...content }) => ({ ...content, haplanVersion: `haplan ${String(writtenBy)}` }),
  },
};

describe("a way up", () => {
  it("goes version by version", () => {
    // The schema is that of version 1, and says so of what comes out.
    const text = readFileSync(join(examples, "state/v1.json"), "utf8");
    expect(() => parseState(text, "state.json", advice, undefined, later)).toThrow(/version must be equal to constant/);
    const reach = (value: Json): unknown =>
      toCurrentVersion(value, {
        current: 3,
        upgrades: {
          1: ({ masters, ...content }) => ({ ...content, members: masters }),
          2: ({ members, ...content }) => ({ ...content, voters: members }),
        },
      }).value;
    const reached = { apiVersion: "haplan.dev/v3", voters: ["m1"] };
    expect(reach({ apiVersion: "haplan.dev/v1", masters: ["m1"] })).toEqual(reached);
    expect(reach({ apiVersion: "haplan.dev/v2", members: ["m1"] })).toEqual(reached);
    expect(reach({ apiVersion: "haplan.dev/v3", voters: ["m1"] })).toEqual(reached);
  });

  it("leads a saved plan up behind its checksum, and a journal record by record", async () => {
    const plan = readFileSync(join(examples, "plan/v1.json"), "utf8");
    const renamed: FileFormat = {
      current: 2,
      upgrades: { 1: (file) => ({ ...file, plan: { ...(file["plan"] as object), clusterName: "renamed" } }) },
    };
    expect(readPlan(plan, renamed)).toMatchObject({ clusterName: "renamed" });
    const journal = readFileSync(join(examples, "journal/v1.jsonl"), "utf8");
    const relabelled: FileFormat = { current: 2, upgrades: { 1: (record) => ({ ...record, planId: "upgraded" }) } };
    const records = await readJournal(journal, relabelled);
    expect(new Set(records.map((record) => (record as { planId: string }).planId))).toEqual(new Set(["upgraded"]));
    expect(records.length).toBe(12);
  });
});

describe("the current version", () => {
  it("is written byte for byte as the example has it", () => {
    const state = readFileSync(join(examples, `state/v${stateFormat.current}.json`), "utf8");
    expect(renderState(parseState(state, "state.json", advice))).toBe(state);
    const plan = readFileSync(join(examples, `plan/v${planFileFormat.current}.json`), "utf8");
    const decoded = decodePlanFile(plan);
    expect(encodePlanFile(decoded.plan!, decoded.source)).toBe(plan);
  });
});
