/** The audit log of `haplan watch`, as other programs read it. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ClusterFixture } from "./cluster-fixture.ts";

export type AuditLine = {
  readonly time: string;
  readonly event: string;
  readonly address?: string;
  readonly pid: number;
  readonly message: string;
  readonly repair?: string | null;
  readonly spare?: string;
};

type Watched = Pick<ClusterFixture, "directory" | "name">;

export function auditFileOf({ directory, name }: Watched): string {
  return join(directory, `.haplan/${name}/watch.jsonl`);
}

/** All lines, or those of one event, of one resource. */
export function auditOf(cluster: Watched, event?: string, address?: string): readonly AuditLine[] {
  const path = auditFileOf(cluster);
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
  return lines
    .map((line): AuditLine => JSON.parse(line))
    .filter(
      (line) => (event === undefined || line.event === event) && (address === undefined || line.address === address),
    );
}
