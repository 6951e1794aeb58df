/** `ssl` as options of `node:tls`, against servers: what is checked, what is shown to them, and what is never shown. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { createPrivateKey } from "node:crypto"
import type { PeerCertificate } from "node:tls"
import { inspect } from "node:util"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import { makeAuthority } from "../kit/certificates.js"
import { describeStandIn, standIn } from "../kit/mssql.js"
import { describePrivateMysql, mysqlQuery, privateMysql } from "../kit/mysql.js"
import { describePrivatePostgres, PrivatePostgres } from "../kit/postgres.js"

const certificateHosts = ["db.example.org"]

const passphrase = "zq-hush-hush"

const encrypted = (key: string): string =>
  createPrivateKey(key).export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase }).toString()

const open = (options: DbConfig.Options) => Effect.scoped(Layer.build(Db.layer(options)))

/** `accepted`, or the error's tag and reason. */
const outcome = (options: DbConfig.Options): Effect.Effect<string> =>
  Effect.match(open(options), {
    onSuccess: () => "accepted",
    onFailure: (error) => {
      assert.notInclude(inspect(error, { depth: 20 }), passphrase)
      return "reason" in error ? `${error._tag} ${String(error.reason)}` : error._tag
    }
  })

const refused = "ConnectionError Tls"

/** The same on each server, whose certificate is for `db.example.org`, and which is reached by a name and by an address. */
const checks = Effect.fnUntraced(function*(at: (host: string) => DbConfig.Options, ca: string) {
  const stranger = yield* Effect.promise(() => makeAuthority("another authority"))
  const seen: Array<string> = []
  const mine: DbConfig.TlsOptions["checkServerIdentity"] = (name: string, certificate: PeerCertificate) => {
    seen.push(`${name} ${certificate.subject.CN}`)
    return undefined
  }
  const servername = "db.example.org"
  const cases: ReadonlyArray<readonly [string, DbConfig.TlsOptions, string]> = [
    ["name", { ca, servername }, "accepted"],
    ["list of authorities", { ca: [Buffer.from(stranger.cert), ca], servername }, "accepted"],
    [
      "ciphers and versions",
      { ca, servername, minVersion: "TLSv1.2", maxVersion: "TLSv1.2", ciphers: "HIGH" },
      "accepted"
    ],
    ["no name", { ca }, refused],
    ["other name", { ca, servername: "other.example.org" }, refused],
    ["other authority", { ca: stranger.cert, servername }, refused],
    ["no authority", { servername }, refused],
    ["nothing is checked", { rejectUnauthorized: false }, "accepted"],
    ["nothing is checked beside an authority", { ca: stranger.cert, rejectUnauthorized: false }, "accepted"],
    ["own check", { ca, checkServerIdentity: mine }, "accepted"],
    ["own check of a stranger", { ca: stranger.cert, checkServerIdentity: mine }, refused],
    ["own check that refuses", { ca, servername, checkServerIdentity: () => new Error("not this one") }, refused]
  ]
  for (const host of ["localhost", "127.0.0.1"]) {
    for (const [what, ssl, expected] of cases) {
      assert.strictEqual(yield* outcome({ ...at(host), ssl }), expected, `${what}, ${host}`)
    }
  }
  assert.deepStrictEqual(Array.from(new Set(seen)), ["localhost localhost", "127.0.0.1 localhost"])
  assert.strictEqual(yield* outcome({ ...at("localhost"), sslRootCert: ca, ssl: { servername } }), "accepted")
})

/** A server that asks for a client's certificate. */
const certificates = Effect.fnUntraced(function*(
  at: DbConfig.Options,
  { cert, key }: { readonly cert: string; readonly key: string }
) {
  const ssl = { rejectUnauthorized: false, cert } as const
  const hidden = encrypted(key)
  assert.strictEqual(yield* outcome({ ...at, ssl: { ...ssl, key } }), "accepted")
  assert.strictEqual(yield* outcome({ ...at, ssl: { ...ssl, key: Redacted.make(key) } }), "accepted")
  assert.strictEqual(yield* outcome({ ...at, ssl: { ...ssl, key: hidden, passphrase } }), "accepted")
  assert.strictEqual(
    yield* outcome({
      ...at,
      sslCert: cert,
      sslKey: hidden,
      ssl: { ...ssl, cert: undefined, passphrase: Redacted.make(passphrase) }
    }),
    "accepted"
  )
  assert.strictEqual(
    yield* outcome({ ...at, ssl: { ...ssl, key: hidden, passphrase: `${passphrase}!` } }),
    "ConfigError"
  )
  assert.strictEqual(yield* outcome({ ...at, ssl: { rejectUnauthorized: false } }), "ConnectionError Authentication")
  const text = yield* Effect.scoped(
    Effect.map(
      Layer.build(Db.layer({ ...at, ssl: { ...ssl, key: hidden, passphrase } })),
      (context) => inspect(context, { depth: 20, showHidden: true })
    )
  )
  assert.notInclude(text, passphrase)
  assert.notInclude(text, hidden.split("\n")[1]!)
})

describePrivatePostgres("TLS options, postgresql", () => {
  it.scopedLive("check the server", () =>
    Effect.gen(function*() {
      const { caCert, port, url } = yield* PrivatePostgres.make({ tls: true, certificateHosts })
      yield* checks((host) => ({ url, host, port }), caCert!)
    }), 60_000)

  it.scopedLive("show a client's certificate, whose key may be encrypted", () =>
    Effect.gen(function*() {
      const { client, url } = yield* PrivatePostgres.make({
        tls: true,
        hba: ["hostssl all all 127.0.0.1/32 cert", "local all all scram-sha-256"]
      })
      yield* certificates({ url }, client!)
    }), 60_000)
})

describePrivateMysql("TLS options, mariadb", () => {
  it.scopedLive(
    "check the server, and show a client's certificate, whose key may be encrypted",
    () =>
      Effect.gen(function*() {
        const { caCert, client, port, url } = yield* privateMysql({ certificateHosts })
        yield* checks((host) => ({ url, host, port }), caCert!)
        yield* mysqlQuery(url, "CREATE USER shown IDENTIFIED BY 'x' REQUIRE X509")
        yield* certificates({ type: "mariadb", host: "127.0.0.1", port, username: "shown", password: "x" }, client!)
      }),
    60_000
  )
})

describeStandIn("TLS options", () => {
  it.scopedLive("check the server", () =>
    Effect.gen(function*() {
      const authority = yield* Effect.promise(() => makeAuthority("ours"))
      const tls = yield* Effect.promise(() => authority.issue("localhost", certificateHosts))
      const { name, password, port, user } = yield* standIn({ tls })
      yield* checks(
        (host) => ({ type: "mssql", host, port, database: name, username: user, password }),
        authority.cert
      )
    }), 60_000)
})
