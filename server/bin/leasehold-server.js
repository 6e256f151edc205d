#!/usr/bin/env node
// Not the built file itself: npm links commands when it installs, before the first build of a checkout.
import '../dist/main.js';
