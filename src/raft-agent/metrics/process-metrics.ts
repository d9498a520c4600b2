/** etcd's process metrics beside the `process_*` names of prom-client: descriptors, memory, scrapes. */
import { readdirSync, readFileSync } from "node:fs";
import { Counter, Gauge, type Registry } from "prom-client";

/** The result is called at each scrape. Values that the system does not provide (no `/proc`) are omitted. */
export function addProcess(registry: Registry): () => void {
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers: [registry] });
  const used = gauge("os_fd_used", "The number of used file descriptors.");
  const limit = gauge("os_fd_limit", "The file descriptor limit.");
  const virtualMax = gauge(
    "process_virtual_memory_max_bytes",
    "Maximum virtual memory in bytes, 2^64 - 1 for no limit.",
  );
  gauge("promhttp_metric_handler_requests_in_flight", "Scrapes being served: this one.").set(1);
  const scrapes = new Counter({
    name: "promhttp_metric_handler_requests_total",
    help: "Scrapes before this one, by HTTP status code.",
    labelNames: ["code"],
    registers: [registry],
  });
  scrapes.inc({ code: "200" }, 0);
  let earlier = 0;
  return () => {
    scrapes.inc({ code: "200" }, earlier);
    earlier = 1;
    try {
      used.set(readdirSync("/proc/self/fd").length);
      const limits = readFileSync("/proc/self/limits", "utf8");
      limit.set(limitOf(limits, "Max open files"));
      virtualMax.set(limitOf(limits, "Max address space"));
    } catch {
      // Not Linux.
    }
  };
}

function limitOf(limits: string, name: string): number {
  const [, soft] = new RegExp(`^${name}\\s+(\\S+)`, "m").exec(limits) ?? [];
  return soft === "unlimited" ? 2 ** 64 : Number(soft ?? 0);
}
