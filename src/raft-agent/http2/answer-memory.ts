/**
 * The memory that answers take on their way to clients, counted over all connections of a server: answers that are being
 * made, those that wait in streams, and output buffers. Beyond the bound the connections that read slowest are ended.
 */
import { SlabPool } from "./slab-pool.ts";

/** What a server may hold unless it is told otherwise. */
const defaultMaxBytes = 1024 * 1_048_576;

export class AnswerMemory {
  readonly maxBytes: number;
  readonly slabs: SlabPool = new SlabPool();
  /** In streams, until the windows of the client and the socket let them go. */
  waitingBytes = 0;
  /** Set aside for answers that are being made. */
  reservedBytes = 0;

  constructor(maxBytes: number = defaultMaxBytes) {
    this.maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.waitingBytes + this.reservedBytes + this.slabs.inUseBytes;
  }

  hasRoomFor(bytes: number): boolean {
    return this.usedBytes + bytes <= this.maxBytes;
  }
}
