/** URLs as providers and tools hand them out: each is read as it is meant, or refused with what to write instead. */
import { describe, it } from "@effect/vitest"
import { assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { Db } from "../src/Db.js"
import * as DbConfig from "../src/DbConfig.js"
import { messagesIn } from "./kit/configErrors.js"
import { describeMysql, freshMysqlDatabase, sharedMysql } from "./kit/mysql.js"
import { describePostgres, freshDatabase, sharedPostgres } from "./kit/postgres.js"

type Case = readonly [who: string, url: string, options: object]

const secret = "hunter2"

const read = (url: string) => {
  const { password, ...options } = Either.getOrThrowWith(DbConfig.parseUrl(url), (error) => new Error(String(error)))
  if (Redacted.isRedacted(password)) {
    strictEqual(Redacted.value(password), secret)
  }
  return options
}

const p = { type: "postgresql" } as const
const m = { type: "mysql" } as const
const s = { type: "mssql" } as const
const l = { type: "sqlite" } as const
const neon = "ep-cool-1.eu-central-1.aws.neon.tech"
const supabase = "aws-0-eu-central-1.pooler.supabase.com"
const u = { username: "u" }

const opened: ReadonlyArray<Case> = [
  ["Neon", `postgresql://u:hunter2@${neon}/d?sslmode=require&channel_binding=require`, {
    ...p,
    ...u,
    host: neon,
    database: "d",
    ssl: "require",
    channelBinding: "require"
  }],
  ["Neon, for clients without SNI", `postgresql://u:hunter2@${neon}/d?sslmode=require&options=endpoint%3Dep-cool-1`, {
    ...p,
    ...u,
    host: neon,
    database: "d",
    ssl: "require",
    settings: { options: "endpoint=ep-cool-1" }
  }],
  ["Neon, older", "postgres://u:hunter2@h/d?options=project%3Dep-cool-1%20-c%20search_path%3Dapp", {
    ...p,
    ...u,
    host: "h",
    database: "d",
    settings: { options: "project=ep-cool-1", search_path: "app" }
  }],
  [
    "Neon for Prisma",
    "postgresql://u:hunter2@h-pooler/d?pgbouncer=true&connect_timeout=15&sslmode=require&pool_timeout=15",
    {
      ...p,
      ...u,
      host: "h-pooler",
      database: "d",
      ssl: "require",
      prepare: false,
      pool: { connectTimeout: 15_000, acquireTimeout: 15_000 }
    }
  ],
  [
    "Supabase, transaction pooler",
    `postgresql://postgres.ref:hunter2@${supabase}:6543/postgres?pgbouncer=true&connection_limit=1`,
    {
      ...p,
      username: "postgres.ref",
      host: supabase,
      port: 6543,
      database: "postgres",
      prepare: false,
      pool: { size: 1, overflow: 0 }
    }
  ],
  [
    "Supabase on Vercel",
    `postgres://postgres.ref:hunter2@${supabase}:6543/postgres?sslmode=require&supa=base-pooler.x`,
    {
      ...p,
      username: "postgres.ref",
      host: supabase,
      port: 6543,
      database: "postgres",
      ssl: "require",
      prepare: false
    }
  ],
  ["Supabase, by its tenant", "postgres://u:hunter2@h/d?options=reference%3Dabc", {
    ...p,
    ...u,
    host: "h",
    database: "d",
    settings: { options: "reference=abc" }
  }],
  ["Supabase, a workaround of Vercel's client", "postgres://h/d?workaround=supabase-pooler.vercel", {
    ...p,
    host: "h",
    database: "d"
  }],
  ["Heroku, Render, Railway, Fly", "postgres://u:hunter2@h.compute-1.amazonaws.com:5432/d", {
    ...p,
    ...u,
    host: "h.compute-1.amazonaws.com",
    port: 5432,
    database: "d"
  }],
  ["Fly, in its network", "postgres://u:hunter2@top2.nearest.of.db.internal:5432/d?sslmode=disable", {
    ...p,
    ...u,
    host: "top2.nearest.of.db.internal",
    port: 5432,
    database: "d",
    ssl: "disable"
  }],
  ["Aiven, DigitalOcean", "postgres://u:hunter2@h:25060/defaultdb?sslmode=require", {
    ...p,
    ...u,
    host: "h",
    port: 25060,
    database: "defaultdb",
    ssl: "require"
  }],
  ["Crunchy, libpq with the system's roots", "postgresql://u:hunter2@h/d?sslmode=verify-full&sslrootcert=system", {
    ...p,
    ...u,
    host: "h",
    database: "d",
    ssl: "verify-full"
  }],
  [
    "Azure",
    "postgres://u%40server:hunter2@s.postgres.database.azure.com/d?sslmode=require&target_session_attrs=read-write",
    {
      ...p,
      username: "u@server",
      host: "s.postgres.database.azure.com",
      database: "d",
      ssl: "require",
      targetSessionAttrs: "read-write"
    }
  ],
  ["Google Cloud SQL", "postgresql://u:hunter2@/d?host=/cloudsql/project:region:instance", {
    ...p,
    ...u,
    host: "/cloudsql/project:region:instance",
    database: "d"
  }],
  ["Google Cloud SQL, in front of the path", "postgresql://u:hunter2@%2Fcloudsql%2Fproject%3Aregion%3Ainstance/d", {
    ...p,
    ...u,
    host: "/cloudsql/project:region:instance",
    database: "d"
  }],
  ["Google Cloud SQL for Prisma", "postgresql://u:hunter2@localhost/d?host=/cloudsql/project:region:instance", {
    ...p,
    ...u,
    host: "/cloudsql/project:region:instance",
    database: "d"
  }],
  ["pg8000", "postgresql+pg8000://u:hunter2@/d?unix_sock=/cloudsql/p:r:i/.s.PGSQL.5432", {
    ...p,
    ...u,
    host: "/cloudsql/p:r:i",
    port: 5432,
    database: "d"
  }],
  ["libpq: the port in front of a host behind", "postgresql://u:hunter2@localhost:5433/d?host=/tmp", {
    ...p,
    ...u,
    host: "/tmp",
    port: 5433,
    database: "d"
  }],
  ["libpq's keywords", "host=h port=5433 dbname=d user=u password=hunter2 sslmode=require connect_timeout=10", {
    ...p,
    ...u,
    host: "h",
    port: 5433,
    database: "d",
    ssl: "require",
    pool: { connectTimeout: 10_000 }
  }],
  [
    "libpq's keywords, in quotes",
    "user = 'my user'  password='hunter2' host='/var/run' dbname = 'it\\'s \\\\ d' options='-c geqo=off'",
    {
      ...p,
      username: "my user",
      host: "/var/run",
      database: "it's \\ d",
      settings: { geqo: "off" }
    }
  ],
  ["libpq: no limit", "postgresql://h/d?connect_timeout=0", { ...p, host: "h", database: "d" }],
  ["Prisma", "postgresql://u:hunter2@h/d?schema=app&sslmode=require&sslaccept=strict&socket_timeout=30", {
    ...p,
    ...u,
    host: "h",
    database: "d",
    ssl: "verify-full",
    settings: { search_path: "\"app\"" },
    limits: { statementTimeout: 30_000 }
  }],
  ["Prisma, without checks", "postgresql://h/d?sslaccept=accept_invalid_certs", {
    ...p,
    host: "h",
    database: "d",
    ssl: "require"
  }],
  ["Prisma, in the other order", "postgresql://h/d?sslaccept=strict&sslmode=prefer", {
    ...p,
    host: "h",
    database: "d",
    ssl: "verify-full"
  }],
  ["search_path and pg", "postgresql://h/d?search_path=app,public&uselibpqcompat=true&sslmode=require&timezone=UTC", {
    ...p,
    host: "h",
    database: "d",
    ssl: "require",
    settings: { search_path: "app,public", TimeZone: "UTC" }
  }],
  [
    "JDBC",
    "jdbc:postgresql://h/d?user=u&password=hunter2&currentSchema=app&ApplicationName=x&prepareThreshold=0&loginTimeout=5&tcpKeepAlive=true&reWriteBatchedInserts=true",
    {
      ...p,
      ...u,
      host: "h",
      database: "d",
      prepare: false,
      applicationName: "x",
      settings: { search_path: "app" },
      pool: { connectTimeout: 5000 }
    }
  ],
  ["Rails", "postgresql://h/d?pool=5&prepared_statements=false", {
    ...p,
    host: "h",
    database: "d",
    prepare: false,
    pool: { size: 5, overflow: 0 }
  }],
  ["PlanetScale", "mysql://u:hunter2@aws.connect.psdb.cloud/d?ssl={\"rejectUnauthorized\":true}", {
    ...m,
    ...u,
    host: "aws.connect.psdb.cloud",
    database: "d",
    ssl: "verify-full"
  }],
  ["PlanetScale, escaped", "mysql://h/d?ssl=%7B%22rejectUnauthorized%22%3Afalse%7D", {
    ...m,
    host: "h",
    database: "d",
    ssl: "require"
  }],
  ["PlanetScale for Prisma, with the authority", "mysql://u:hunter2@h/d?sslaccept=strict&sslcert=/etc/ssl/cert.pem", {
    ...m,
    ...u,
    host: "h",
    database: "d",
    ssl: "verify-full",
    sslRootCert: "/etc/ssl/cert.pem"
  }],
  ["PlanetScale for Prisma, TiDB", "mysql://u.root:hunter2@gateway01.tidbcloud.com:4000/test?sslaccept=strict", {
    ...m,
    username: "u.root",
    host: "gateway01.tidbcloud.com",
    port: 4000,
    database: "test",
    ssl: "verify-full"
  }],
  ["TiDB for Go", "mysql://h:4000/test?tls=true&parseTime=true&loc=UTC", {
    ...m,
    host: "h",
    port: 4000,
    database: "test",
    ssl: "verify-full"
  }],
  ["Aiven, DigitalOcean", "mysql://u:hunter2@h:25060/defaultdb?ssl-mode=REQUIRED", {
    ...m,
    ...u,
    host: "h",
    port: 25060,
    database: "defaultdb",
    ssl: "require"
  }],
  [
    "mysql2",
    "mysql://h/d?charset=utf8mb4&timezone=Z&connectionLimit=5&connectTimeout=0&waitForConnections=true&enableKeepAlive=true",
    {
      ...m,
      host: "h",
      database: "d",
      pool: { size: 5, overflow: 0 }
    }
  ],
  ["a collation", "mysql://h/d?charset=UTF8MB4_GENERAL_CI", {
    ...m,
    host: "h",
    database: "d",
    settings: { collation_connection: "utf8mb4_general_ci" }
  }],
  [
    "JDBC",
    "jdbc:mysql://h/d?user=u&password=hunter2&useSSL=true&requireSSL=true&verifyServerCertificate=true&serverTimezone=UTC&useUnicode=true&characterEncoding=UTF-8&allowPublicKeyRetrieval=true",
    {
      ...m,
      ...u,
      host: "h",
      database: "d",
      ssl: "verify-full"
    }
  ],
  ...["socket", "socketPath", "unix_socket", "localSocket"].map((name): Case => [
    `a socket by ${name}`,
    `mysql://u:hunter2@127.0.0.1:3306/d?${name}=/run/x.sock`,
    { ...m, ...u, host: "/run/x.sock", database: "d" }
  ]),
  ["Google Cloud SQL", "mysql+pymysql://u:hunter2@/d?unix_socket=/cloudsql/project:region:instance", {
    ...m,
    ...u,
    host: "/cloudsql/project:region:instance",
    database: "d"
  }],
  [
    "Azure SQL",
    "Server=tcp:s.database.windows.net,1433;Initial Catalog=d;Persist Security Info=False;User ID=u;Password={hunter2};MultipleActiveResultSets=False;Encrypt=True;TrustServerCertificate=False;Connection Timeout=30;",
    {
      ...s,
      ...u,
      host: "s.database.windows.net",
      port: 1433,
      database: "d",
      ssl: "verify-full",
      pool: { connectTimeout: 30_000 }
    }
  ],
  [
    "ADO.NET",
    "Data Source=h;Database=d;User Id=u;Pwd=hunter2;Max Pool Size=20;Min Pool Size=2;Pooling=true;Application Name=x;Command Timeout=60;ConnectRetryCount=3;Packet Size=4096;Connection Lifetime=300",
    {
      ...s,
      ...u,
      host: "h",
      database: "d",
      applicationName: "x",
      pool: { size: 20, overflow: 0, minIdle: 2, maxLifetime: 300_000 },
      limits: { statementTimeout: 60_000 }
    }
  ],
  ["Entra", "Server=h;Database=d;Authentication=Active Directory Default;Encrypt=True", {
    ...s,
    host: "h",
    database: "d",
    ssl: "verify-full",
    settings: { authentication: "azure-active-directory-default" }
  }],
  [
    "Entra, by a password",
    "sqlserver://h;database=d;user=u;password={hunter2};authentication=ActiveDirectoryPassword;clientId=c",
    {
      ...s,
      ...u,
      host: "h",
      database: "d",
      settings: { authentication: "azure-active-directory-password", clientId: "c" }
    }
  ],
  ["no way to log in that is not the usual", "Server=h;Database=d;Authentication=SqlPassword", {
    ...s,
    host: "h",
    database: "d"
  }],
  ["SQLite, immutable", "file:x.db?immutable=1", { ...l, filename: "x.db", access: "read-only" }],
  ["SQLite of Go", "file:x.db?_busy_timeout=5000&_journal_mode=WAL&_fk=1", {
    ...l,
    filename: "x.db",
    limits: { lockTimeout: 5000 },
    settings: { journal_mode: "WAL", foreign_keys: "1" }
  }],
  ["SQLite of Prisma", "file:./dev.db?connection_limit=1&socket_timeout=10", {
    ...l,
    filename: "./dev.db",
    pool: { size: 1, overflow: 0 },
    limits: { lockTimeout: 10_000 }
  }]
]

const refused: ReadonlyArray<readonly [url: string, problem: RegExp]> = [
  ["libsql://d-u.turso.io?authToken=hunter2", /@libsql\/client.*sqlite:\/\/\/file\.db/],
  ["prisma://accelerate.prisma-data.net/?api_key=hunter2", /the direct URL/],
  ["prisma+postgres://accelerate.prisma-data.net/?api_key=hunter2", /postgresql:/],
  ["cockroachdb://u:hunter2@h:26257/d", /write postgresql:/],
  ["Host=h;Port=5432;Database=d;Username=u;Password=hunter2;SSL Mode=Require", /string of \.NET.*postgresql:\/\//],
  [
    "Server=h.postgres.database.azure.com;Database=d;Port=5432;User Id=u;Password=hunter2;Ssl Mode=Require;",
    /write postgresql:/
  ],
  ["u:hunter2@tcp(h:3306)/d?parseTime=true", /DSN of Go's.*mysql:\/\//],
  ["host=h password='hunter2", /^the keywords cannot be read; accepted: name=value/],
  ["host=h passwrd=hunter2", /^keyword 2 is not known \(is password meant\?\)/],
  ["postgresql://u:hunter2@h/d?options=search_path%3Dhunter2", /-c name=value.*endpoint=/],
  ["postgresql://u:hunter2@h/d?service=hunter2", /given in the URL/],
  ["postgresql://u:hunter2@h/d?sslpassword=hunter2", /without a passphrase/],
  ["jdbc:postgresql:///d?cloudSqlInstance=p:r:i&password=hunter2", /host=\/cloudsql\/project:region:instance/],
  ["mysql://u:hunter2@h/d?timezone=local", /UTC \(or Z, \+00:00\)/],
  ["mysql://u:hunter2@h/d?serverTimezone=Asia/Tokyo", /UTC/],
  ["mysql://u:hunter2@h/d?charset=latin1", /utf8mb4/],
  ["mysql://u:hunter2@h/d?ssl={\"rejectUnauthorized\":\"hunter2\"}", /rejectUnauthorized.*ssl-cert/],
  ["mysql://u:hunter2@h/d?ssl={hunter2", /JSON such as/],
  ["mysql://u:hunter2@h/d?ssl=Amazon+RDS", /ssl-ca/],
  ["mysql://u:hunter2@h/d?socket=x.sock", /which begins with \//],
  [
    "Server=h;Database=d;Password=hunter2;Authentication=Active Directory Interactive",
    /SqlPassword, or Active Directory Password/
  ],
  ["Server=h;Database=d;Password=hunter2;Failover Partner=x", /second host/],
  ["Server=h;Database=d;Password=hunter2;Column Encryption Setting=Enabled", /disabled/],
  ["file:x.db?mode=rw", /for rw write rwc/]
]

describe("URLs of providers", () => {
  for (const [who, url, options] of opened) {
    it(`${who}: ${url}`, () => deepStrictEqual(read(url), options))
  }
  for (const [url, problem] of refused) {
    it(`says what to write instead of ${url}`, () => {
      const found = Either.match(DbConfig.parseUrl(url), { onLeft: messagesIn, onRight: () => [] }).join(" | ")
      assertTrue(problem.test(found), `got: ${found}`)
      assertTrue(!found.includes(secret))
    })
  }

  it("no fault shows a password, wherever in the text it stands", () => {
    for (const [, url] of opened) {
      // Broken at its end, and in front of the password.
      for (const broken of [`${url}&nonsense=hunter2`, `${url};nonsense=hunter2`, url.replace("hunter2", "%hunter2")]) {
        const text = Either.match(DbConfig.parseUrl(broken), { onLeft: String, onRight: () => "" })
        assertTrue(!text.includes(secret), broken)
      }
    }
  })
})

describeMysql("a socket in a URL of MySQL", () => {
  it.scopedLive("wins over the host", () =>
    Effect.gen(function*() {
      const { socket } = yield* sharedMysql
      const { name, password, user } = yield* freshMysqlDatabase
      if (socket === undefined) return
      for (const parameter of ["socket", "socketPath"]) {
        const url = `mysql://${user}:${password}@192.0.2.1:1/${name}?${parameter}=${socket}`
        const rows = yield* Effect.provide(Db.query("SELECT 1 AS v"), Db.layer({ url }))
        deepStrictEqual(rows.map((row) => Number((row as { readonly v: unknown }).v)), [1])
      }
    }))
})

describePostgres("a socket in a URL of PostgreSQL", () => {
  it.scopedLive("is that of the folder, with the port in front", () =>
    Effect.gen(function*() {
      const folder = sharedPostgres().socketDirectory
      const { name, password, port, user } = yield* freshDatabase
      if (folder === undefined) return
      for (
        const url of [
          `postgresql://${user}:${password}@localhost:${port}/${name}?host=${folder}`,
          `postgresql://${user}:${password}@/${name}?unix_sock=${folder}/.s.PGSQL.${port}`,
          `host='${folder}' port=${port} dbname=${name} user=${user} password='${password}'`
        ]
      ) {
        const rows = yield* Effect.provide(
          Db.query("SELECT inet_server_addr() IS NULL AS local"),
          Db.layer({ url })
        )
        deepStrictEqual(rows, [{ local: true }] as never)
      }
    }))
})
