/** `haplan artifact`: builds what runs on a host that has neither Node.js nor internet. */
import { resolve } from "node:path";
import { type Architecture, architectures } from "../../../src/artifact/artifact-entries.ts";
import { artifactFileName, buildArtifact } from "../../../src/artifact/build-artifact.ts";
import { fileDigest } from "../../../src/artifact/given-artifact.ts";
import { packageDir } from "../../../src/base/package-dir.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { refuse } from "../refusal.ts";

type ArtifactFlags = { readonly arch?: string; readonly out?: string; readonly json?: boolean };

export async function runArtifact(context: CliContext, flags: ArtifactFlags): Promise<ExitCode> {
  const { terminal, version, cwd, stop } = context;
  const architecture = readArchitecture(flags.arch ?? process.arch);
  const out = resolve(cwd, flags.out ?? artifactFileName(version, architecture));
  const request = { packageDirectory: packageDir(), version, architecture, out, signal: stop.signal };
  const { path, bytes, digest } = await buildArtifact(request);
  const sha256 = await fileDigest(path);
  if (flags.json) terminal.print(JSON.stringify({ path, bytes, sha256, digest, arch: architecture, version }, null, 2));
  else terminal.print(`${path}\n${(bytes / 1e6).toFixed(1)} MB, sha256 ${sha256}\ncontents sha256 ${digest}`);
  return 0;
}

function readArchitecture(value: string): Architecture {
  const known = architectures.find((each) => each === value);
  if (known !== undefined) return known;
  const taken = architectures.join(" or ");
  throw refuse("cli/bad-architecture", `There is no artifact for ${value}`, `Give -arch ${taken}: that of the hosts.`);
}
