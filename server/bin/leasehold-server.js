#!/usr/bin/env -S node --max-semi-space-size=64
// Under load hundreds of calls wait for the store. With the 16 MB of Node they are copied again and again by the garbage
// collector, which takes a seventh of the throughput (docs/benchmarks.md); it grows to 64 MB only then.
// Not the built file itself: npm links commands when it installs, before the first build of a checkout.
import '../dist/main.js';
