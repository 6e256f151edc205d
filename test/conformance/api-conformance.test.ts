import { apiConformance } from './api/conformance.js';
import { fakePlace } from './api/fake-place.js';

apiConformance("the SDK's fake server", fakePlace, { time: true });
