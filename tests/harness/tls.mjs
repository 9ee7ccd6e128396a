// Certificates made for a test, by openssl(1).
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";

const openssl = (...args) => execFileSync("openssl", args, { stdio: "pipe" });

// A folder's certificates: make(name, issuer) writes NAME.crt and NAME.key, for
// localhost and 127.0.0.1, signed by the issuer, or by itself. file(name) is
// their path without the ending; read(name) the certificate.
export class Certificates {
  constructor(folder) {
    this.folder = folder;
  }

  file(name) {
    return path.join(this.folder, name);
  }

  read(name, kind = "crt") {
    return readFileSync(`${this.file(name)}.${kind}`);
  }

  make(name, issuer, { key = "ec:P-256" } = {}) {
    const file = this.file(name);
    const algorithm = key.startsWith("ec:")
      ? ["-newkey", "ec", "-pkeyopt", `ec_paramgen_curve:${key.slice(3)}`]
      : ["-newkey", key];
    const signer = issuer
      ? ["-CA", `${this.file(issuer)}.crt`, "-CAkey", `${this.file(issuer)}.key`]
      : [];
    openssl(
      ...["req", "-x509", ...algorithm, "-nodes", "-days", "30"],
      ...["-subj", `/CN=${name}`, ...signer],
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
      ...["-keyout", `${file}.key`, "-out", `${file}.crt`],
      ...(issuer ? ["-addext", "basicConstraints=critical,CA:FALSE"] : []),
    );
    return this;
  }

  // The server's options.
  args(name, ...more) {
    const file = this.file(name);
    return ["--tls-cert", `${file}.crt`, "--tls-key", `${file}.key`, ...more];
  }

  // A client's, for node:tls: whom it trusts and who it is.
  client(trusted, name) {
    const identity = name
      ? { cert: this.read(name), key: this.read(name, "key") }
      : {};
    return { ca: this.read(trusted), ...identity };
  }
}
