/**
 * A real etcd fails the writes that it has accepted once it is removed ("raft: stopped"), and answers them when it is told to
 * stop: so it stops first. For that moment the others have to hold the quorum without it, as during a restart; where one of them
 * is down, it is removed first as well.
 */
import { isUnreachable, type MemberView } from "../cluster-view.ts";
import type { Planning } from "../planning.ts";

export function stopsBeforeRemoval({ spec, view }: Planning, member: MemberView): boolean {
  if (spec.controlPlane.engine !== "etcd" || member.adopted || isUnreachable(view, member.name)) return false;
  return view.members.every(({ voter, healthy }) => !voter || healthy);
}
