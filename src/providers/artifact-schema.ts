/** The key `artifact` in `spec.provider`: which version of haplan's programs machines run. */
import type { Json } from "../base/json.ts";
import { findingAt, type SpecFinding } from "../spec/finding.ts";
import type { SpecRule } from "../spec/rules/rule.ts";
import type { Keys } from "../spec/schema/shape.ts";

const keys: Keys = {
  file: {
    type: "string",
    minLength: 1,
    description: "its file on this machine",
    absent: "`url` names it",
    example: "haplan-0.1.0-linux-x64.tar.gz",
  },
  url: {
    type: "string",
    pattern: "^https?://.+$",
    description: "where it is downloaded from, once; needs `sha256`",
    absent: "`file` names it",
    example: "https://example.com/haplan-0.1.0-linux-x64.tar.gz",
  },
  sha256: {
    type: "string",
    pattern: "^[0-9a-fA-F]{64}$",
    description: "the SHA-256 digest of the file, as `sha256sum` prints it; another file is refused",
    absent: "any file is taken",
    example: "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
  },
};

export const artifactShape: { readonly type: "object"; readonly keys: Keys; readonly example: Json } = {
  type: "object",
  keys: keys,
  example: { file: "haplan-0.1.0-linux-x64.tar.gz" },
};

/** Either a file or a URL; what is downloaded is always known by its digest. */
export const checkArtifact: SpecRule = ({ provider }) => {
  const artifact = provider?.entries["artifact"];
  if (artifact === null || artifact === undefined || !("written" in artifact)) return [];
  const { written, pointer } = artifact;
  const say = (summary: string, detail: string): readonly SpecFinding[] => [
    findingAt(pointer, { code: "spec/artifact", summary, detail }),
  ];
  if (written.includes("file") === written.includes("url"))
    return say("An artifact is either a file or a URL", "Write `file` or `url`, and only one of them.");
  if (written.includes("url") && !written.includes("sha256"))
    return say("An artifact that is downloaded needs its digest", "Write `sha256`, as `sha256sum` prints it.");
  return [];
};
