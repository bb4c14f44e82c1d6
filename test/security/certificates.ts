/** A certificate authority that lives as long as the test file, made by the `openssl` command: Node can check certificates and not issue any. */
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '../harness/index.js';

export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Why there is none; undefined where there is. */
export function noOpenssl(): string | undefined {
  try {
    execFileSync('openssl', ['version'], { stdio: 'pipe', timeout: 10_000 });
    return undefined;
  } catch {
    return 'the command openssl is not there to make certificates with';
  }
}

/** Files (PEM) of an authority and of a certificate signed by it, for `names` (subjectAltName) both as server and as client. */
export function makeCertificates(names = 'IP:127.0.0.1,DNS:localhost'): Certificates {
  const dir = tempDir();
  const file = (name: string) => join(dir, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe', timeout: 60_000 });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test authority');
  openssl('req', ...key, '-keyout', 'node.key', '-out', 'node.csr', '-subj', '/CN=node');
  writeFileSync(file('node.ext'), `subjectAltName=${names}\nextendedKeyUsage=serverAuth,clientAuth\n`);
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'node.ext'];
  openssl('x509', '-req', '-in', 'node.csr', '-out', 'node.pem', ...signed);
  chmodSync(file('node.key'), 0o600);
  return { ca: file('ca.pem'), cert: file('node.pem'), key: file('node.key') };
}
