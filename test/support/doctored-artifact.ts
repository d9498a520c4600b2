/** Other versions of haplan for tests: an artifact with another name, whose agent works or does not. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";

/** What is put in front of a program, or in its place. */
const defects: Readonly<
  Record<"works" | "doesNotStart" | "crashesAfter5s" | "isNeverReady", (program: string) => string>
> = {
  works: (program: string) => program,
  doesNotStart: (program: string) => `console.error("this version does not start"); process.exit(1);\n${program}`,
  crashesAfter5s: (program: string) => `setTimeout(() => process.exit(7), 5_000);\n${program}`,
  isNeverReady: () => 'console.error("this version is never ready"); setInterval(() => {}, 1_000);\n',
};
export type Defect = keyof typeof defects;

export type DoctoredArtifact = {
  /** The artifact to start from. */
  readonly from: string;
  readonly version: string;
  readonly defect: Defect;
  /** The program that is changed. */
  readonly program?: "haplan-agent" | "haplan-load-balancer" | "haplan-worker";
  /** Where it is made. */
  readonly directory: string;
};

/** @returns its file */
export async function doctorArtifact(options: DoctoredArtifact): Promise<string> {
  const { from, version, defect, program = "haplan-agent", directory } = options;
  const unpacked = join(directory, `unpacked-${version}`);
  await mkdir(unpacked, { recursive: true });
  await execa("tar", ["-xzf", from, "-C", unpacked]);
  const [top = ""] = await readdir(unpacked);
  const name = top.replace(/^haplan-.+-linux/, `haplan-${version}-linux`);
  if (name !== top) await rename(join(unpacked, top), join(unpacked, name));
  const main = join(unpacked, name, "cmd", program, "main.js");
  await writeFile(main, defects[defect]((await readFile(main, "utf8")).replace(/^#!.*\n/, "")));
  const about = join(unpacked, name, "package.json");
  await writeFile(about, JSON.stringify({ ...JSON.parse(await readFile(about, "utf8")), version }, null, 2));
  const file = join(directory, `haplan-${version}.tar.gz`);
  await execa("tar", ["-czf", file, "-C", unpacked, name]);
  await rm(unpacked, { recursive: true });
  return file;
}
