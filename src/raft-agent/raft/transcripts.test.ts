/**
 * The paper's scenarios as scripts with expected transcripts, in `testdata`. After an intended change of behavior run
 * `UPDATE=1 npx vitest run transcripts` and review the difference.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { renderTranscript } from "../../../test/raft-core/transcript.ts";

const directory = fileURLToPath(new URL("testdata/", import.meta.url));

describe("transcripts", () => {
  it.each(readdirSync(directory).filter((name) => name.endsWith(".txt")))("%s matches its transcript", (name) => {
    const expected = readFileSync(directory + name, "utf8");
    const actual = renderTranscript(expected);
    if (process.env["UPDATE"] === "1") writeFileSync(directory + name, actual);
    else expect(actual).toBe(expected);
  });
});
