/**
 * Certificates for tests: an authority made on the spot, and what it signs.
 *
 * Exports: `makeAuthority(commonName)`.
 */
import * as net from "node:net"
import { generate } from "selfsigned"

/** A certificate and its key, as PEM text. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** A certificate authority. */
export interface Authority extends Certificate {
  /** A certificate for a server with these names and addresses, or for a client of this common name. */
  readonly issue: (commonName: string, hosts: ReadonlyArray<string>) => Promise<Certificate>
}

const curve = { keyType: "ec", curve: "P-256", algorithm: "sha256" } as const

/** Makes an authority of its own. */
export const makeAuthority = async (commonName: string): Promise<Authority> => {
  const ca = await generate([{ name: "commonName", value: commonName }], {
    ...curve,
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true }
    ]
  })
  return {
    cert: ca.cert,
    key: ca.private,
    issue: async (name, hosts) => {
      const issued = await generate([{ name: "commonName", value: name }], {
        ...curve,
        ca: { key: ca.private, cert: ca.cert },
        extensions: [
          { name: "basicConstraints", cA: false, critical: true },
          { name: "keyUsage", digitalSignature: true, critical: true },
          { name: "extKeyUsage", serverAuth: true, clientAuth: true },
          ...(hosts.length === 0 ? [] : [{
            name: "subjectAltName" as const,
            altNames: hosts.map((host) =>
              net.isIP(host) === 0 ? { type: 2 as const, value: host } : { type: 7 as const, ip: host }
            )
          }])
        ]
      })
      return { cert: issued.cert, key: issued.private }
    }
  }
}
