/** `moved` maps names that no master has any more to names of masters, each name at most once on either side. */
import { findingAt, type SpecFinding } from "../finding.ts";
import { nearestName } from "../nearest-name.ts";
import { presentName } from "../present-name.ts";
import type { SpecRule } from "./rule.ts";

export const checkMovedMasters: SpecRule = ({ controlPlane, hosts }) => {
  // An entry without one of the names is reported by the schema.
  const moved = (controlPlane?.entries.moved.items ?? []).flatMap((item) => {
    const { from = null, to = null } = item?.entries ?? {};
    return from === null || to === null ? [] : [{ from, to }];
  });
  const names = (kind: string): readonly string[] =>
    hosts.flatMap((host) => (host.kind === kind && host.name !== null ? [host.name.value] : []));
  const [masters, workers] = [names("master"), names("worker")];
  const entries = moved.map(({ from, to }) => ({ from: from.value, to: to.value }));
  return moved.flatMap(({ from, to }, index): readonly SpecFinding[] => {
    const told = (pointer: string, summary: string, detail: string): readonly SpecFinding[] => [
      findingAt(pointer, { code: "spec/moved", summary, detail }),
    ];
    if (from.value === to.value) {
      return told(
        to.pointer,
        `${from.value} is moved to itself`,
        "Write its current name after `to`, or remove the entry.",
      );
    }
    if (masters.includes(from.value) || workers.includes(from.value)) {
      const kind = masters.includes(from.value) ? "master" : "worker";
      return told(
        from.pointer,
        `The spec still lists a ${kind} ${from.value}`,
        `\`from\` is a name that is no longer used: rename the ${kind}, or remove the entry.`,
      );
    }
    const before = entries.slice(0, index);
    const sameFrom = before.find((entry) => entry.from === from.value);
    if (sameFrom !== undefined) {
      const twice = sameFrom.to === to.value;
      const what = `${from.value} ${twice ? `to ${to.value} is listed twice` : `moves to ${sameFrom.to} and to ${to.value}`}`;
      return told(from.pointer, `Ambiguous move: ${what}`, "One master has one name: remove one of the entries.");
    }
    const sameTo = before.find((entry) => entry.to === to.value);
    if (sameTo !== undefined) {
      return told(
        to.pointer,
        `Ambiguous move: ${sameTo.from} and ${from.value} both move to ${to.value}`,
        `One master has one machine and its data: keep the entry of the one that became ${to.value}, and remove the other.`,
      );
    }
    const end = presentName(from.value, entries);
    if (masters.includes(end)) return [];
    if (workers.includes(end)) {
      return told(to.pointer, `${end} is a worker`, "Only masters can be moved: a worker has no data to keep.");
    }
    const near = nearestName(end, masters);
    const hint = near === null ? "" : ` Did you mean "${near}"?`;
    return told(to.pointer, `The spec lists no master ${end}`, `Masters are ${masters.join(", ")}.${hint}`);
  });
};
