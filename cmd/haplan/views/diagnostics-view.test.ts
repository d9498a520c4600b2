import { describe, expect, it } from "vitest";
import { specReader } from "../../../src/providers/spec-reader.ts";
import { createPaint } from "../paint.ts";
import { diagnosticsToJson, renderDiagnostics } from "./diagnostics-view.ts";

const parseSpec = specReader.parse;

const { diagnostics } = parseSpec(
  "cluster.yaml",
  `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  controlPlane:
    members: 4
    engin: agent
`,
);

describe("diagnostics view", () => {
  it("wraps the reason against any number of members to a terminal of 80 columns, without leaving a word alone", () => {
    for (const members of [0, 1, 2, 4, 6, 8, 100]) {
      const text = `apiVersion: haplan.dev/v1\nkind: Cluster\nmetadata: { name: demo }\nspec: { controlPlane: { members: ${members} } }\n`;
      const lines = renderDiagnostics(parseSpec("f", text).diagnostics, createPaint(false)).split("\n");
      const start = lines.findIndex((line) => line.includes("A write counts"));
      const reason = lines.slice(start, lines.indexOf("│", start));
      expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
      // But for its last line, a paragraph fills the width up to the next word.
      for (const [at, line] of reason.slice(0, -1).entries()) {
        const next = reason[at + 1]!.split(" ")[1]!;
        expect(line.length + 1 + next.length, line).toBeGreaterThan(78);
      }
    }
  });

  it("shows position, caret, reason and advice between bars", () => {
    expect(renderDiagnostics(diagnostics, createPaint(false))).toMatchInlineSnapshot(`
      "╷
      │ Error: A control plane of 4 members is not allowed
      │
      │   on cluster.yaml:6:14, in spec.controlPlane.members
      │      6:     members: 4
      │                      ^
      │
      │ A write counts once a majority of the members has it on disk. Of 4 members
      │ that is 3: they tolerate 1 failed, just as 3 members do, but there is one
      │ more machine that can fail, and a network partition 2|2 stops both halves.
      │
      │ instances  quorum  fault tolerance
      │         1       1                0
      │         2       2                0
      │         3       2                1
      │         4       3                1   <- this one
      │         5       3                2
      │         6       4                2
      │         7       4                3
      │
      │ Write 3 or 5.
      ╵
      ╷
      │ Error: There is no key "engin" in spec.controlPlane
      │
      │   on cluster.yaml:7:5, in spec.controlPlane.engin
      │      7:     engin: agent
      │             ^^^^^
      │
      │ Did you mean "engine"? Known keys: members, engine, etcd, adopt,
      │ migrateFrom, masters, moved, zones, tls, clientPort, peerPort,
      │ electionTimeoutMs, heartbeatIntervalMs.
      ╵"
    `);
  });

  it("colors errors red", () => {
    expect(renderDiagnostics(diagnostics.slice(1), createPaint(true))).toMatchInlineSnapshot(`
      "[31m╷[39m
      [31m│[39m [31m[1mError: [22m[39m[1mThere is no key "engin" in spec.controlPlane[22m
      [31m│[39m
      [31m│[39m   on cluster.yaml:7:5, in spec.controlPlane.engin
      [31m│[39m      7:     engin: agent
      [31m│[39m             [1m^^^^^[22m
      [31m│[39m
      [31m│[39m Did you mean "engine"? Known keys: members, engine, etcd, adopt,
      [31m│[39m migrateFrom, masters, moved, zones, tls, clientPort, peerPort,
      [31m│[39m electionTimeoutMs, heartbeatIntervalMs.
      [31m╵[39m"
    `);
  });

  it("keeps a caret below its character after a tab", () => {
    const text = renderDiagnostics(
      [
        {
          severity: "warning",
          code: "x",
          summary: "tab",
          snippet: "\ta: b",
          range: { filename: "f", start: { line: 1, column: 5, byte: 4 }, end: { line: 1, column: 6, byte: 5 } },
        },
      ],
      createPaint(false),
    );
    expect(text.split("\n").slice(4, 6)).toEqual(["│      1: \ta: b", "│         \t   ^"]);
  });

  it("has the format of terraform validate -json", () => {
    expect(diagnosticsToJson(diagnostics)).toMatchObject({
      format_version: "1.0",
      valid: false,
      error_count: 2,
      warning_count: 0,
      diagnostics: [
        {
          severity: "error",
          range: { filename: "cluster.yaml", start: { line: 6, column: 14 }, end: { line: 6, column: 15 } },
          snippet: { code: "    members: 4", start_line: 6, highlight_start_offset: 13, highlight_end_offset: 14 },
        },
        { severity: "error", code: "spec/unknown-key" },
      ],
    });
    expect(diagnosticsToJson([])).toMatchObject({ valid: true, error_count: 0, diagnostics: [] });
  });
});
