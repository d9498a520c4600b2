/**
 * A bounded, fair queue. An item belongs to a share, a share to a larger one, and so on: for example a connection, its
 * host, its user. At each level the shares alternate, so that callers with many items wait for their own items. A
 * share that has not been served yet precedes those that have, the latest first: under overload, those that have
 * waited longest are the first to give up. When the queue is full, the largest share drops an item.
 */
export class FairQueue<Item> {
  readonly #sizeMax: number;
  readonly #root: Share<Item> = new Share();

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get size(): number {
    return this.#root.size;
  }

  /**
   * `path`: the item's shares, the largest first. Returns the item that is dropped, possibly `item`; null if there is
   * room.
   */
  push(path: readonly string[], item: Item): Item | null {
    this.#root.push(path, item);
    return this.size > this.#sizeMax ? this.#root.drop() : null;
  }

  /** The next item; undefined when the queue is empty. */
  shift(): Item | undefined {
    return this.size === 0 ? undefined : this.#root.shift();
  }

  /** Empties it. */
  takeAll(): Item[] {
    const all: Item[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) all.push(item);
    return all;
  }
}

/** Holds either items or smaller shares. No share in it is empty. */
class Share<Item> {
  size = 0;
  readonly #items: Item[] = [];
  /** Shares that were served, in the order of their next turn. */
  readonly #served = new Map<string, Share<Item>>();
  /** Shares that were not served yet, in order of arrival. */
  readonly #arrived = new Map<string, Share<Item>>();

  push([name, ...rest]: readonly string[], item: Item): void {
    this.size++;
    if (name === undefined) this.#items.push(item);
    else this.#share(name).push(rest, item);
  }

  /** Must not be called when it is empty. */
  shift(): Item {
    this.size--;
    if (this.#items.length > 0) return this.#items.shift()!;
    const [name, share] = [...this.#arrived].at(-1) ?? [...this.#served][0]!;
    const item = share.shift();
    this.#arrived.delete(name);
    this.#served.delete(name);
    if (share.size > 0) this.#served.set(name, share);
    return item;
  }

  /** The newest item of the largest share; among equal ones, of the one that would wait longest. */
  drop(): Item {
    this.size--;
    if (this.#items.length > 0) return this.#items.pop()!;
    const shares = [...[...this.#served].toReversed(), ...this.#arrived];
    const [name, share] = shares.reduce((largest, each) => (each[1].size > largest[1].size ? each : largest));
    const item = share.drop();
    if (share.size === 0) {
      this.#arrived.delete(name);
      this.#served.delete(name);
    }
    return item;
  }

  #share(name: string): Share<Item> {
    const known = this.#served.get(name) ?? this.#arrived.get(name);
    if (known !== undefined) return known;
    const share = new Share<Item>();
    this.#arrived.set(name, share);
    return share;
  }
}
