// Chance as an argument: nothing but the system adapters draw random numbers.

/** A source of randomness. */
export interface Entropy {
  /** A number from 0 (included) to 1 (excluded). */
  random(): number;
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
}
