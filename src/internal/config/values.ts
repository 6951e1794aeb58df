/**
 * The types of single settings: words, secrets, certificates.
 */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"

/**
 * The database families `dblive` speaks to.
 *
 * @since 0.1.0
 * @category models
 */
export type DatabaseType = "sqlite" | "postgresql" | "mysql" | "mariadb" | "mssql"

/**
 * Which preset of defaults applies.
 *
 * @since 0.1.0
 * @category models
 */
export type Environment = "production" | "development" | "test"

/**
 * What opens SQLite files.
 *
 * @since 0.2.0
 * @category models
 */
export type SqliteModule = "auto" | "better-sqlite3" | "node:sqlite"

/**
 * How much of TLS is asked for, with libpq's meaning of the words.
 *
 * @since 0.1.0
 * @category models
 */
export type SslMode = "disable" | "prefer" | "require" | "verify-ca" | "verify-full"

/**
 * A certificate or a key, as text or bytes, or several.
 *
 * @since 0.2.0
 * @category models
 */
export type Pem = string | Uint8Array | ReadonlyArray<string | Uint8Array>

/**
 * Options of TLS, as `node:tls` takes them: what of its `ConnectionOptions` makes sense for a client of a database.
 *
 * They ask for TLS. The server's certificate is checked, with its name, unless `rejectUnauthorized` is `false`.
 *
 * @since 0.2.0
 * @category models
 */
export interface TlsOptions {
  /** The certificate authorities, where the system's are not meant. Defaults to those that Node brings. */
  readonly ca?: Pem | undefined
  /** The client's certificate, with those between it and its authority. Defaults to none. */
  readonly cert?: Pem | undefined
  /** A PKCS #12 archive. Never shown. */
  readonly pfx?: Pem | undefined
  /** The name that is asked for (SNI), and that the certificate has to bear. Defaults to the host. */
  readonly servername?: string | undefined
  /** `false`: any certificate is taken, as in the mode `require`. Defaults to true. */
  readonly rejectUnauthorized?: boolean | undefined
  /**
   * A check of one's own in place of that of the certificate's name; an error that it returns ends the connection. `node:tls`
   * gives it a `PeerCertificate`; without Node's types that has no name here.
   */
  readonly checkServerIdentity?: ((hostname: string, certificate: never) => Error | undefined) | undefined
  /** The lowest version of the protocol. Defaults to Node's (`tls.DEFAULT_MIN_VERSION`). */
  readonly minVersion?: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3" | undefined
  /** The highest version of the protocol. Defaults to Node's (`tls.DEFAULT_MAX_VERSION`). */
  readonly maxVersion?: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3" | undefined
  /** The ciphers, in OpenSSL's words. Defaults to Node's (`tls.DEFAULT_CIPHERS`). */
  readonly ciphers?: string | undefined
  /** The key of `cert`. Never shown. */
  readonly key?: Pem | Redacted.Redacted<string> | undefined
  /** The passphrase of the key or of `pfx`. Never shown. */
  readonly passphrase?: string | Redacted.Redacted<string> | undefined
}

/**
 * Which of several PostgreSQL hosts is taken, in libpq's words.
 *
 * @since 0.1.0
 * @category models
 */
export type TargetSessionAttrs = "any" | "read-write" | "read-only" | "primary" | "standby" | "prefer-standby"

/**
 * Whether the password's proof is bound to the TLS channel, in libpq's words.
 *
 * @since 0.1.0
 * @category models
 */
export type ChannelBinding = "disable" | "prefer" | "require"

/**
 * A secret that may change while the program runs: an effect is asked again for every new connection.
 *
 * @since 0.1.0
 * @category models
 */
export type Secret = Redacted.Redacted<string> | Effect.Effect<Redacted.Redacted<string>, unknown>

/**
 * How PostgreSQL's types are read, where they are not to be read as dblive reads them: `pg`'s own `types` has this shape.
 *
 * @since 0.1.0
 * @category models
 */
export interface TypeParsers {
  /**
   * What reads the text of a value of the type with this oid, which is never NULL. `undefined`, or a parser of `pg`'s own, leaves
   * the type to dblive. What it throws is the statement's failure.
   */
  readonly getTypeParser: (oid: number, format: "text") => ((text: string) => unknown) | undefined
}

/**
 * What becomes of a number in JSON that a double cannot hold: an integer beyond 2^53, a long decimal, `1e400`.
 *
 * - `exact`: an object of a class that extends `Number`. It counts as the nearest double (`valueOf`), prints its digits
 *   (`String(n)`), and is written back with them.
 * - `bigint`: the same, but integers are `bigint`s.
 * - `refuse`: the statement fails with a `QueryError` of reason `DataError`.
 * - `number`: the nearest double, as `JSON.parse` makes it.
 *
 * @since 0.2.0
 * @category models
 */
export type JsonNumbers = "exact" | "bigint" | "refuse" | "number"
