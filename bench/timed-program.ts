/** The cost of a program from its start to its end, by GNU time. */
import { spawnSync } from "node:child_process";

export type Cost = {
  readonly wallS: number;
  readonly userS: number;
  readonly systemS: number;
  readonly residentMb: number;
};

/** @throws Error when it exits with anything but 0 */
export function timeProgram(cwd: string, command: readonly string[]): Cost {
  const line = ["-f", "%e %U %S %M", ...command];
  const { status, stdout, stderr } = spawnSync("/usr/bin/time", line, { cwd, encoding: "utf8", maxBuffer: 1 << 28 });
  const [wallS = 0, userS = 0, systemS = 0, kib = 0] = lastLine(stderr).split(" ").map(Number);
  if (status !== 0) throw new Error(`${command.join(" ")} exited with ${status}:\n${stdout}${stderr}`);
  return { wallS, userS, systemS, residentMb: kib / 1024 };
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}
