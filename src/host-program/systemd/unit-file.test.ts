import { describe, expect, it } from "vitest";
import type { ProcessRequest, UnitPlace } from "../../providers/supervisor.ts";
import { systemdName } from "../../providers/unit-name.ts";
import { parseUnitState } from "./systemctl.ts";
import { renderUnitFile, unitDirOfFile } from "./unit-file.ts";

const place: UnitPlace = {
  root: "/var/lib/haplan/demo",
  machine: "m1@2",
  unit: "agent",
  directory: "/var/lib/haplan/demo/machines/m1@2/units/agent",
  files: "/var/lib/haplan/demo/machines/m1@2/units/agent/files",
};
const request: ProcessRequest = {
  file: "/opt/haplan/current/bin/node",
  arguments: ["main.js", "--name=m1"],
  environment: {},
  program: { kind: "haplan", command: "haplan-agent" },
  listens: ["[fd00::1]:2379"],
  reloadSignal: null,
  capabilities: [],
  dataDir: "/var/lib/haplan/demo/machines/m1@2/data",
  isUp: null,
};
const linesOf = (changes: Partial<ProcessRequest> = {}): string[] =>
  renderUnitFile(place, { ...request, ...changes }).split("\n");

describe("a unit file", () => {
  it("is named after the cluster, the machine and the unit, and is no instance of a template", () => {
    expect(systemdName(place)).toBe("haplan-demo-m1:2-agent");
  });

  it.each<[string, string]>([
    ["plain", '"plain"'],
    ["two words", '"two words"'],
    ['a "quote" and \\', '"a \\"quote\\" and \\\\"'],
    ["50% of $HOME", '"50%% of $$HOME"'],
    ["two\nlines", '"two\\nlines"'],
    ["", '""'],
  ])("passes the argument %j on as it is", (argument, word) => {
    expect(linesOf({ arguments: [argument] })).toContain(`ExecStart="/opt/haplan/current/bin/node" ${word}`);
  });

  it("sets variables without replacing any in them", () => {
    expect(linesOf({ environment: { A: 'x$y 1% "z"' } })).toContain('Environment="A=x$y 1%% \\"z\\""');
  });

  it("waits for an agent to say that it is ready, and has a watchdog for it; for others neither", () => {
    expect(linesOf()).toEqual(expect.arrayContaining(["Type=notify", "NotifyAccess=all", "WatchdogSec=60"]));
    const other = linesOf({ program: { kind: "system", command: "haproxy" }, reloadSignal: "SIGUSR2" });
    expect(other).toEqual(expect.arrayContaining(["Type=exec", "ExecReload=/bin/kill -USR2 $MAINPID"]));
    expect(other.filter((line) => /Watchdog|Notify/.test(line))).toEqual([]);
  });

  it("gives the capability for low ports to a unit that listens on one, and none to any other", () => {
    expect(linesOf()).toContain("CapabilityBoundingSet=");
    expect(linesOf({ listens: ["10.0.0.1:443"] })).toEqual(
      expect.arrayContaining([
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
      ]),
    );
  });

  it("says which unit it is of", () => {
    expect(unitDirOfFile(renderUnitFile(place, request))).toBe(place.directory);
    const odd = { ...place, directory: '/srv/50% "x"\\machines/m/units/u' };
    expect(unitDirOfFile(renderUnitFile(odd, request))).toBe(odd.directory);
    expect(unitDirOfFile("[Service]\nExecStart=/bin/true\n")).toBeNull();
  });
});

describe("what systemctl shows of a unit", () => {
  it.each([
    [
      "Job=\nActiveState=active\nSubState=running\nMainPID=812\nNRestarts=0\nExecMainCode=0\nExecMainStatus=0",
      { active: "active", sub: "running", pid: 812, hasJob: false, restarts: 0, ending: null },
    ],
    [
      "Job=31\nActiveState=inactive\nSubState=dead\nMainPID=0\nNRestarts=2\nExecMainCode=1\nExecMainStatus=3",
      { active: "inactive", sub: "dead", pid: null, hasJob: true, restarts: 2, ending: "ended with exit code 3" },
    ],
    [
      "ActiveState=failed\nSubState=failed\nMainPID=0\nNRestarts=0\nExecMainCode=2\nExecMainStatus=9",
      { active: "failed", sub: "failed", pid: null, hasJob: false, restarts: 0, ending: "was ended by signal 9" },
    ],
  ])("is read: %j", (text, state) => {
    expect(parseUnitState(text)).toEqual(state);
  });
});
