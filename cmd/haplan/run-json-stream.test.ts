/** `apply -json` for tools that read Terraform's stream: each change starts once and ends once. */
import { afterAll, describe, expect, it } from "vitest";
import { createCliFixture } from "../../test/support/command-line.ts";

type Line = {
  readonly type: string;
  readonly hook?: { readonly resource: { readonly addr: string }; readonly action?: string };
  readonly [key: string]: unknown;
};

const cli = createCliFixture();
afterAll(() => cli.remove());

async function stream(line: string): Promise<readonly Line[]> {
  const { out } = await cli.haplan(line);
  return out.split("\n").map((text) => JSON.parse(text) as Line);
}

const addresses = (lines: readonly Line[], type: string): readonly string[] =>
  lines.filter((line) => line.type === type).map(({ hook }) => hook?.resource.addr ?? "");

describe("apply -json", () => {
  it("T low: starts and completes each planned change once, and ends with the outputs", async () => {
    const lines = await stream("apply three.yaml -auto-approve -json");
    const planned = lines
      .filter(({ type }) => type === "planned_change")
      .map(({ change }) => (change as { resource: { addr: string } }).resource.addr);
    expect(planned.length).toBeGreaterThan(20);
    expect(addresses(lines, "apply_start").toSorted()).toEqual(planned.toSorted());
    expect(addresses(lines, "apply_complete").toSorted()).toEqual(planned.toSorted());
    for (const address of planned) {
      const at = (type: string): number =>
        lines.findIndex((line) => line.type === type && line.hook?.resource.addr === address);
      expect(at("apply_start")).toBeLessThan(at("apply_complete"));
    }
    expect(lines.at(-1)).toMatchObject({
      type: "outputs",
      outputs: { endpoint: { sensitive: false, type: "string", value: "https://127.0.1.100:2379" } },
    });
  });

  it("T low: reports refreshed resources if there is a state", async () => {
    const lines = await stream("apply three.yaml -auto-approve -json");
    expect(addresses(lines, "refresh_start")).toContain("haplan_agent.m1");
    expect(addresses(lines, "refresh_complete")).toEqual(addresses(lines, "refresh_start"));
    expect(addresses(lines, "apply_start")).toEqual([]);
  });

  it("destroy starts and completes them as well, and has no outputs", async () => {
    const lines = await stream("destroy three.yaml -auto-approve -json");
    expect(addresses(lines, "apply_complete").toSorted()).toEqual(addresses(lines, "apply_start").toSorted());
    expect(lines.find(({ type }) => type === "apply_complete")?.hook).toMatchObject({ action: "delete" });
    expect(lines.some(({ type }) => type === "outputs")).toBe(false);
  });
});
