/** The policies in docs/aws.md follow from the calls that the code can make, and the code makes no others. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { awsCalls } from "../../../src/providers/aws/aws-call-types.ts";
import { root } from "../../structure/imports.ts";
import { fullPolicy, instancePolicy, readPolicy, sessionPolicy } from "./iam-policy.ts";

const page = readFileSync(join(root, "docs/aws.md"), "utf8");
const directory = join(root, "src/providers/aws");
const sources = readdirSync(directory)
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
  .map((name) => ({ name, text: readFileSync(join(directory, name), "utf8") }));

it("docs/aws.md has the policies that the code needs", () => {
  const blocks = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text]) => JSON.parse(text ?? "") as unknown);
  expect(blocks).toEqual([
    readPolicy(),
    fullPolicy("arn:aws:iam::123456789012:role/control-plane"),
    sessionPolicy(),
    instancePolicy(),
  ]);
});

it("every call of the list is made, and the SDK is used by the client alone", () => {
  const made = sources
    .filter(({ name }) => name !== "aws-call-types.ts")
    .flatMap(({ text }) =>
      [...text.matchAll(/(?:\.call|\.all|dryRun)(?:<[^(]*>)?\(\s*"(\w+)"/g)].map(([, call]) => call),
    );
  expect([...new Set(made)].toSorted()).toEqual(Object.keys(awsCalls).toSorted());
  const loading = sources.filter(({ text }) =>
    /(?:from|import\() ?"@aws-sdk/.test(text.replaceAll(/^import type [^;]*;/gms, "")),
  );
  expect(loading.map(({ name }) => name)).toEqual(["aws-client.ts"]);
});
