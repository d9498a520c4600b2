/** The production dependencies: processes of this machine, files of the authority, members over the network. */
import { connectControlPlane } from "../../src/control-plane/connect-control-plane.ts";
import { askPresented } from "../../src/control-plane/presented-certificate.ts";
import { openWatcherLease } from "../../src/control-plane/watcher-lease.ts";
import { readWorkerReports } from "../../src/control-plane/worker-reports.ts";
import { openAdoptedAuthority } from "../../src/pki/adopted-authority.ts";
import { openAuthority } from "../../src/pki/authority.ts";
import { openOperatorAuthority } from "../../src/pki/operator-authority.ts";
import { openLoadBalancer } from "../../src/providers/open-load-balancer.ts";
import { openProvider } from "../../src/providers/open-provider.ts";
import { askHost } from "../../src/providers/registry.ts";
import type { Dependencies } from "./cli-context.ts";
import { probeInThread } from "./probe-in-thread.ts";
import { runInTerminal } from "./run-in-terminal.ts";

export const productionDependencies: Dependencies = {
  openProvider,
  openLoadBalancer,
  openAuthority,
  openOperatorAuthority,
  openAdoptedAuthority,
  connect: connectControlPlane,
  probeWrites: probeInThread,
  askPresented,
  runInTerminal,
  askHost,
  rehearsedProgram: null,
  openWatcherLease,
  readWorkerReports,
};
