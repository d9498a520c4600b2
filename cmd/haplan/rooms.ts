/** The real rooms: this machine's processes, the authority's files, the members over the network. */
import { connectControlPlane } from "../../src/control-plane/connect-control-plane.ts";
import { askPresented } from "../../src/control-plane/presented-certificate.ts";
import { readWorkerReports } from "../../src/control-plane/worker-reports.ts";
import { openAdoptedAuthority } from "../../src/pki/adopted-authority.ts";
import { openAuthority } from "../../src/pki/authority.ts";
import { openProvider } from "../../src/providers/open-provider.ts";
import type { Rooms } from "./cli-context.ts";
import { probeInThread } from "./probe-in-thread.ts";

export const realRooms: Rooms = {
  openProvider,
  openAuthority,
  openAdoptedAuthority,
  connect: connectControlPlane,
  probeWrites: probeInThread,
  askPresented,
  readWorkerReports,
};
