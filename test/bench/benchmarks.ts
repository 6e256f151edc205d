// All benchmarks, in the order in which they run.

import type { Benchmark } from './benchmark.js';
import { fill } from './fill.js';
import { firstOffer } from './first-offer.js';
import { fixedBody } from './fixed-body.js';
import { reserve } from './reserve.js';
import { responder } from './responder.js';

/** See the top of the file. */
export const BENCHMARKS: readonly Benchmark[] = [reserve, fixedBody, fill, firstOffer, responder];
