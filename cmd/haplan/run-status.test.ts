/** `haplan status` while a restore or a recovery is not complete. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { inPieces, snapshotOfKeys } from "../../src/backup/snapshot.fixture.ts";
import { writeBackup } from "../../src/backup/write-backup.ts";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

describe("haplan status during an interrupted restore", () => {
  let cli: CliFixture;
  beforeEach(async () => {
    cli = createCliFixture();
    await cli.haplan("apply three.yaml -auto-approve");
    cli.world.snapshotBytes = snapshotOfKeys(50);
    cli.world.destroying = true;
    await writeBackup(inPieces(snapshotOfKeys(40), 4096), {
      path: join(cli.cwd, "demo.db"),
      secret: null,
      createdAtMs: Date.now(),
      origin: () => ({ cluster: "demo", engine: "agent" }),
    });
    cli.world.failing = (act) => (act.startsWith("restoreData") ? "it broke" : null);
    expect((await cli.haplan("restore demo.db three.yaml -auto-approve")).code).toBe(1);
    cli.world.failing = () => null;
  });
  afterEach(() => cli.remove());

  it("names the restore and the command that completes it, and no recovery", async () => {
    const { code, out } = await cli.haplan("status three.yaml");
    expect(code).toBe(4);
    expect(out).toContain("A restore of demo.db was interrupted, and is not complete. To complete it, run:");
    expect(out).toContain("\n    haplan restore demo.db three.yaml");
    expect(out).not.toContain("haplan recover");
    const json = JSON.parse((await cli.haplan("status three.yaml -json")).out);
    expect(json).toMatchObject({ interrupted: { kind: "restore", backup: "demo.db" } });
  });

  it("says nothing of it once the printed command has completed it, also if the backup is gone meanwhile", async () => {
    rmSync(join(cli.cwd, "demo.db"));
    const { code, err } = await cli.haplan("restore demo.db three.yaml -auto-approve");
    expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining("Resuming the restore of demo.db") });
    const { out } = await cli.haplan("status three.yaml -json");
    expect(JSON.parse(out)).toMatchObject({ interrupted: null });
  });
});
