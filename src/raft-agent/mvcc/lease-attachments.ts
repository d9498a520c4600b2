/** Maps live keys to leases. Keys are identified by their index slots, so only leased keys cost memory. */
import type { KeyIndex } from "./index/key-index.ts";
import { compareBytes } from "./key-range.ts";

export class LeaseAttachments {
  readonly #leaseOfSlot = new Map<number, bigint>();
  readonly #slotsOfLease = new Map<bigint, Set<number>>();
  readonly #index: KeyIndex;

  constructor(index: KeyIndex) {
    this.#index = index;
  }

  leaseOf(slot: number): bigint {
    return this.#leaseOfSlot.size === 0 ? 0n : (this.#leaseOfSlot.get(slot) ?? 0n);
  }

  /** Attaches a key, or detaches it with 0n. */
  attach(slot: number, lease: bigint): void {
    const old = this.leaseOf(slot);
    if (old === lease) return;
    if (old !== 0n) this.#detach(slot, old);
    if (lease === 0n) return;
    this.#leaseOfSlot.set(slot, lease);
    const slots = this.#slotsOfLease.get(lease);
    if (slots === undefined) this.#slotsOfLease.set(lease, new Set([slot]));
    else slots.add(slot);
  }

  /** Copies of the attached keys, in key order. */
  keysOf(lease: bigint): Uint8Array[] {
    const slots = this.#slotsOfLease.get(lease);
    if (slots === undefined) return [];
    return Array.from(slots, (slot) => this.#index.keyOf(slot).slice()).sort(compareBytes);
  }

  #detach(slot: number, lease: bigint): void {
    this.#leaseOfSlot.delete(slot);
    const slots = this.#slotsOfLease.get(lease)!;
    slots.delete(slot);
    if (slots.size === 0) this.#slotsOfLease.delete(lease);
  }
}
