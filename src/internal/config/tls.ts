/**
 * What the configuration says of TLS: a word, files, and options of Node.
 */
import * as Redacted from "effect/Redacted"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type { Tell } from "./faults.js"
import { shown } from "./faults.js"
import type { DbConfig } from "./model.js"
import { nearest } from "./nearest.js"
import type { Options } from "./options.js"
import { defaultSslMode } from "./settings.js"
import { tellUnknown } from "./unknown.js"
import type { DatabaseType, SslMode, TlsOptions } from "./values.js"

/** The settings of TLS, each decoded by itself. */
export interface Decoded {
  readonly type: DatabaseType
  readonly mode: SslMode | undefined
  readonly rootCert: string | undefined
  readonly cert: string | undefined
  readonly key: Redacted.Redacted<string> | undefined
}

/** The options as they were given: those of the URL, those beside it, and both together. */
export interface Sources {
  readonly url: Options
  readonly beside: Options
  readonly merged: Options
}

const pemText = (value: string): string | Error => {
  if (value.includes("-----BEGIN")) {
    // Where a variable cannot hold line breaks, \n is written for them.
    return value.includes("\n") ? value : value.replaceAll("\\n", "\n")
  }
  try {
    const text = Fs.readFileSync(value, "utf8")
    return text.includes("-----BEGIN") ? text : new Error("holds no PEM text (-----BEGIN ...)")
  } catch (error) {
    return new Error(`cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown reason"})`)
  }
}

type Check = readonly [accepted: string, holds: (value: unknown) => boolean]

const isBytes = (value: unknown): boolean => value instanceof Uint8Array

/** Node takes a path for PEM text without any, and trusts nothing then. */
const isPem = (value: unknown): boolean => isBytes(value) || typeof value === "string" && value.includes("-----BEGIN")

const oneOrMany = (check: (value: unknown) => boolean) => (value: unknown): boolean =>
  Array.isArray(value) ? value.length > 0 && value.every(check) : check(value)

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const bare = (value: unknown): unknown => Redacted.isRedacted(value) ? Redacted.value(value) : value

const isText = (value: unknown): boolean => typeof value === "string" && value !== "" && !value.includes("\0")

const pems: Check = ["PEM text (-----BEGIN ...) or its bytes, or a list of them", oneOrMany(isPem)]

const versions: ReadonlyArray<unknown> = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]

const version: Check = [versions.join(", "), (value) => versions.includes(value)]

const checks: Readonly<Record<keyof TlsOptions, Check>> = {
  ca: pems,
  cert: pems,
  key: [
    "PEM text (-----BEGIN ...) or its bytes, a list of them, or a Redacted text",
    (value) => oneOrMany((one) => isPem(one) || isRecord(one) && isPem(one["pem"]))(bare(value))
  ],
  passphrase: ["a text, or a Redacted text", (value) => typeof bare(value) === "string"],
  pfx: [
    "the bytes of a PKCS #12 archive, or a list of them",
    oneOrMany((one) => isBytes(one) || isText(one) || isRecord(one) && (isBytes(one["buf"]) || isText(one["buf"])))
  ],
  // The protocol has no address there.
  servername: ["a name, which is no address", (value) => isText(value) && Net.isIP(String(value)) === 0],
  rejectUnauthorized: ["true or false", (value) => typeof value === "boolean"],
  checkServerIdentity: [
    "a function (hostname, certificate) => Error | undefined",
    (value) => typeof value === "function"
  ],
  minVersion: version,
  maxVersion: version,
  ciphers: ["names of OpenSSL, separated by :", isText]
}

/** The options that were given, with the secrets as Node takes them. */
const read = (given: object, tell: Tell): Tls.ConnectionOptions => {
  const found: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    const check = Object.hasOwn(checks, name) ? checks[name as keyof TlsOptions] : undefined
    if (check === undefined) {
      const meant = nearest(name, Object.keys(checks))
      tellUnknown("ssl", name, meant === undefined ? undefined : `ssl.${meant}`, Object.keys(checks), tell)
    } else if (!check[1](value)) {
      tell(`ssl.${name}`, `has a value that cannot be used; accepted: ${check[0]}`)
    } else {
      found[name] = bare(value)
    }
  }
  // Each value was just seen to be of its option's type.
  return found
}

/** Options that say the same. */
const rivals = [
  ["ca", "sslRootCert"],
  ["cert", "sslCert"],
  ["key", "sslKey"],
  ["pfx", "sslCert"],
  ["pfx", "sslKey"]
] as const

const contradictions = (found: Tls.ConnectionOptions, type: DatabaseType, sources: Sources, tell: Tell): void => {
  const { beside, merged, url } = sources
  for (const [own, other] of rivals) {
    if (found[own] !== undefined && merged[other] !== undefined) {
      const by = beside[other] === undefined ? `${other} by the URL` : other
      tell(`ssl.${own}`, `is given, and so is ${by}; accepted: one of them`)
    }
  }
  if (url.ssl === "disable") {
    tell("ssl", "holds TLS options, but the URL asks for disable; accepted: one of them")
  } else if (found.rejectUnauthorized === false && (url.ssl === "verify-ca" || url.ssl === "verify-full")) {
    tell("ssl.rejectUnauthorized", `holds false, but the URL asks for ${url.ssl}; accepted: one of them`)
  }
  if (type === "mssql" && found.servername !== undefined && merged.settings?.["serverName"] !== undefined) {
    tell("ssl.servername", "is given, and so is settings.serverName; accepted: one of them")
  }
}

/** What Node finds wrong with it is told now: a driver could find no connection for it. The code alone: it has no values. */
const tryOut = (context: Tls.SecureContextOptions, tell: Tell): void => {
  try {
    Tls.createSecureContext(context)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    tell(
      "ssl",
      `cannot be used by Node (${
        code ?? "unknown reason"
      }); accepted: certificates with their keys, the passphrase of ` +
        "the key, versions and ciphers that fit"
    )
  }
}

/** A certificate and its key belong together. */
const checkPair = (found: Tls.ConnectionOptions | undefined, merged: Options, tell: Tell): void => {
  const hasCert = merged.sslCert !== undefined || found?.cert !== undefined
  const hasKey = merged.sslKey !== undefined || found?.key !== undefined
  if (hasCert !== hasKey) {
    const isOwn = merged.sslCert === undefined && merged.sslKey === undefined
    tell(
      hasKey ? isOwn ? "ssl.cert" : "sslCert" : isOwn ? "ssl.key" : "sslKey",
      "is missing; accepted: certificate and key together, or neither"
    )
  }
}

/** The decoded TLS; faults are told. */
export const decode = ({ cert, key, mode, rootCert, type }: Decoded, sources: Sources, tell: Tell): DbConfig["ssl"] => {
  const pem = (option: string, value: string | undefined, isSecret: boolean): string | undefined => {
    const text = value === undefined ? undefined : pemText(value)
    if (text instanceof Error) {
      tell(option, `holds ${isSecret ? "the path of a file that" : `${shown(value)}, which`} ${text.message}`)
      return undefined
    }
    return text
  }
  const keyText = pem("sslKey", key === undefined ? undefined : Redacted.value(key), true)
  const ca = pem("sslRootCert", rootCert, false)
  const certText = pem("sslCert", cert, false)

  const { merged } = sources
  // What is no object of options, such as a Redacted one, has no mode and was told of.
  const found = isRecord(merged.ssl) && mode !== undefined ? read(merged.ssl, tell) : undefined
  checkPair(found, merged, tell)
  const plain = { ca, cert: certText, key: keyText === undefined ? undefined : Redacted.make(keyText) }
  if (found === undefined) {
    const word = mode ?? defaultSslMode(type)
    // As libpq has it: a root certificate is given to be used.
    return { mode: word === "require" && ca !== undefined && type === "postgresql" ? "verify-ca" : word, ...plain }
  }
  if (type === "sqlite") {
    // Else the type is missing, which is told.
    if (merged.type !== undefined || merged.filename !== undefined) {
      tell(
        "ssl",
        "holds TLS options, but the database is one of sqlite; accepted: PostgreSQL, MySQL, MariaDB, SQL Server"
      )
    }
  } else {
    contradictions(found, type, sources, tell)
    const { checkServerIdentity: _identity, rejectUnauthorized: _reject, servername: _name, ...context } = found
    tryOut({
      ...(ca === undefined ? {} : { ca }),
      ...(certText === undefined ? {} : { cert: certText }),
      ...(keyText === undefined ? {} : { key: keyText }),
      ...context
    }, tell)
  }
  return {
    mode: found.rejectUnauthorized === false ? "require" : "verify-full",
    ...plain,
    options: Redacted.make(found)
  }
}
