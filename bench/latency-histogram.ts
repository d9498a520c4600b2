/** Latencies in buckets whose width grows with the value: 32 per power of two, so that a figure is accurate to 3 %. */

const stepsPerOctave = 32;
const octaves = 32;

export class LatencyHistogram {
  readonly #buckets = new Float64Array(stepsPerOctave * octaves);
  #count = 0;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  record(micros: number): void {
    this.#buckets[bucketOf(micros)]!++;
    this.#count++;
    if (micros > this.#max) this.#max = micros;
  }

  clear(): void {
    this.#buckets.fill(0);
    this.#count = 0;
    this.#max = 0;
  }

  /** The latency, in microseconds, below which `share` (0..1) of all are. */
  quantile(share: number): number {
    let left = Math.ceil(this.#count * share);
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) {
      left -= this.#buckets[bucket]!;
      if (left <= 0) return Math.min(this.#max, 2 ** ((bucket + 1) / stepsPerOctave));
    }
    return this.#max;
  }
}

function bucketOf(micros: number): number {
  const bucket = Math.floor(Math.log2(Math.max(1, micros)) * stepsPerOctave);
  return Math.min(stepsPerOctave * octaves - 1, bucket);
}
