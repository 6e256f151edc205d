import { hasTool } from '../../support/tools.js';
import { backendConformance } from './backend-conformance.js';

backendConformance('dnsmasq', await hasTool('dnsmasq'));
