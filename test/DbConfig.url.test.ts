import { describe, it } from "@effect/vitest"
import { assertLeft, assertTrue, deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as fc from "fast-check"
import pgConnectionString from "pg-connection-string"
import * as DbConfig from "../src/DbConfig.js"
import { faultsOf } from "../src/internal/effect/configFaults.js"
import { messagesIn } from "./kit/configErrors.js"

/** The options of a URL, with the password laid open. */
const read = (url: string) => {
  const { password, sslKey, ...options } = Either.getOrThrowWith(
    DbConfig.parseUrl(url),
    (error) => new Error(String(error))
  )
  return {
    ...options,
    ...Redacted.isRedacted(password) ? { password: Redacted.value(password) } : {},
    ...Redacted.isRedacted(sslKey) ? { sslKey: Redacted.value(sslKey) } : {}
  }
}
const problems = (url: string): ReadonlyArray<string> =>
  Either.match(DbConfig.parseUrl(url), { onLeft: messagesIn, onRight: () => [] })

const postgresql = "postgresql" as const
const mssql = "mssql" as const

describe("DbConfig.parseUrl", () => {
  describe("sqlite", () => {
    const files: ReadonlyArray<readonly [url: string, filename: string]> = [
      ["sqlite:///relative.db", "relative.db"],
      ["sqlite:///folder/relative.db", "folder/relative.db"],
      ["sqlite:////absolute/x.db", "/absolute/x.db"],
      ["sqlite+aiosqlite:///relative.db", "relative.db"],
      ["sqlite+pysqlite:////absolute/x.db", "/absolute/x.db"],
      ["sqlite3:///x.db", "x.db"],
      ["SQLite:///X.db", "X.db"],
      ["sqlite:x.db", "x.db"],
      ["sqlite:./x.db", "./x.db"],
      ["sqlite:/absolute/x.db", "/absolute/x.db"],
      ["sqlite://x.db", "x.db"],
      ["sqlite://./folder/x.db", "./folder/x.db"],
      ["sqlite:///with%20space%23%3F.db", "with space#?.db"],
      ["sqlite:///a#b.db", "a#b.db"],
      ["sqlite:///user@host.db", "user@host.db"],
      ["sqlite:///C:/folder/x.db", "C:/folder/x.db"],
      ["sqlite:///C:\\folder\\x.db", "C:\\folder\\x.db"],
      ["sqlite:////C:/folder/x.db", "C:/folder/x.db"],
      ["sqlite://C:\\folder\\x.db", "C:\\folder\\x.db"],
      ["sqlite:C:\\folder\\x.db", "C:\\folder\\x.db"],
      ["C:\\folder\\x.db", "C:\\folder\\x.db"],
      ["c:/folder/x", "c:/folder/x"],
      ["./data/x.db", "./data/x.db"],
      ["../x.sqlite3", "../x.sqlite3"],
      ["/var/lib/x.sqlite", "/var/lib/x.sqlite"],
      [" x.db\n", "x.db"],
      ["file:x.db", "x.db"],
      ["file:./x.db", "./x.db"],
      ["file:/absolute/x.db", "/absolute/x.db"],
      ["file:///absolute/x.db", "/absolute/x.db"],
      ["file://localhost/absolute/x.db", "/absolute/x.db"],
      ["file:///C:/folder/x.db", "C:/folder/x.db"],
      ["file:with%20space.db", "with space.db"],
      ["sqlite://:memory:", ":memory:"],
      ["sqlite:///:memory:", ":memory:"],
      ["sqlite::memory:", ":memory:"],
      ["sqlite://", ":memory:"],
      [":memory:", ":memory:"],
      ["file::memory:", ":memory:"],
      ["file::memory:?cache=shared", ":memory:"],
      ["file:shared?mode=memory&cache=shared", ":memory:"]
    ]
    for (const [url, filename] of files) {
      it(url, () => {
        deepStrictEqual(read(url), { type: "sqlite", filename })
      })
    }

    it("mode, timeout and SQLAlchemy's own parameters", () => {
      deepStrictEqual(read("file:x.db?mode=ro"), { type: "sqlite", filename: "x.db", access: "read-only" })
      deepStrictEqual(read("sqlite:///x.db?mode=rwc"), { type: "sqlite", filename: "x.db", access: "read-write" })
      deepStrictEqual(read("sqlite:///x.db?timeout=15&check_same_thread=false"), {
        type: "sqlite",
        filename: "x.db",
        limits: { lockTimeout: 15_000 }
      })
      deepStrictEqual(read("sqlite:///file:x.db?mode=ro&uri=true"), {
        type: "sqlite",
        filename: "x.db",
        access: "read-only"
      })
    })
  })

  describe("postgresql", () => {
    const cases: ReadonlyArray<readonly [url: string, options: object]> = [
      ["postgres://u:p@h:5433/d", { host: "h", port: 5433, username: "u", password: "p", database: "d" }],
      ["postgresql://h", { host: "h" }],
      ["postgresql://h/", { host: "h" }],
      ["postgresql:///d", { database: "d" }],
      ["postgresql://", {}],
      ["postgresql://u@h/d", { username: "u", host: "h", database: "d" }],
      ["postgresql://u:@h/d", { username: "u", host: "h", database: "d" }],
      ["postgresql+asyncpg://u:p@h/d", { username: "u", password: "p", host: "h", database: "d" }],
      ["postgresql+psycopg://u:p@h/d", { username: "u", password: "p", host: "h", database: "d" }],
      ["postgres+psycopg2://h/d", { host: "h", database: "d" }],
      ["jdbc:postgresql://h:1/d?user=u&password=p", {
        host: "h",
        port: 1,
        database: "d",
        username: "u",
        password: "p"
      }],
      ["postgresql://u%40corp:p%3Aa%2Fb%3F%40%25@h/d%20b", {
        username: "u@corp",
        password: "p:a/b?@%",
        host: "h",
        database: "d b"
      }],
      ["postgresql://u:p@ss:w#rd@h/d", { username: "u", password: "p@ss:w#rd", host: "h", database: "d" }],
      ["postgresql://u:pä€😀@h/d", { username: "u", password: "pä€😀", host: "h", database: "d" }],
      ["postgresql://[::1]/d", { host: "::1", database: "d" }],
      ["postgresql://[2001:db8::1]:5433/d", { host: "2001:db8::1", port: 5433, database: "d" }],
      ["postgresql://[fe80::1%25eth0]:5433/d", { host: "fe80::1%eth0", port: 5433, database: "d" }],
      ["postgresql://%2Fvar%2Frun%2Fpostgresql/d", { host: "/var/run/postgresql", database: "d" }],
      ["postgresql://u@%2Ftmp:5433/d", { username: "u", host: "/tmp", port: 5433, database: "d" }],
      ["postgresql:///d?host=/tmp&port=5433", { host: "/tmp", port: 5433, database: "d" }],
      ["postgresql://a,b:5433,[::1]:5434/d", { host: "a,b:5433,[::1]:5434", database: "d" }],
      ["postgresql://a:1,b:2/d?target_session_attrs=read-write", {
        host: "a:1,b:2",
        database: "d",
        targetSessionAttrs: "read-write"
      }],
      ["postgresql:///d?host=a,b&port=1,2", { host: "a:1,b:2", database: "d" }],
      ["postgresql:///d?host=a,b&port=1", { host: "a:1,b:1", database: "d" }],
      ["postgresql:///d?host=a:1&host=b:2", { host: "a:1,b:2", database: "d" }],
      ["postgresql://x/d?host=y&user=me@corp&dbname=e", { host: "y", username: "me@corp", database: "e" }],
      ["postgresql://h?sslmode=verify-full&sslrootcert=/ca.pem", {
        host: "h",
        ssl: "verify-full",
        sslRootCert: "/ca.pem"
      }],
      ["postgresql://h?sslcert=c.pem&sslkey=k.pem", { host: "h", sslCert: "c.pem", sslKey: "k.pem" }],
      ["postgresql://h?sslrootcert=system", { host: "h", ssl: "verify-full" }],
      ["postgresql://h?ssl=true", { host: "h", ssl: "verify-full" }],
      ["postgresql://h?ssl=require", { host: "h", ssl: "require" }],
      ["postgresql://h?ssl=0", { host: "h", ssl: "disable" }],
      ["postgresql://h?sslmode=allow", { host: "h", ssl: "prefer" }],
      ["postgresql://h?sslmode=no-verify", { host: "h", ssl: "require" }],
      ["postgresql://h?sslmode=require&channel_binding=require", {
        host: "h",
        ssl: "require",
        channelBinding: "require"
      }],
      ["postgresql://h?application_name=my%20app&connect_timeout=3", {
        host: "h",
        applicationName: "my app",
        pool: { connectTimeout: 3000 }
      }],
      ["postgresql://h?fallback_application_name=b", { host: "h", applicationName: "b" }],
      ["postgresql://h?options=-c%20search_path%3Da%2Cb%20-cgeqo%3Doff%20--work-mem%3D1MB", {
        host: "h",
        settings: { search_path: "a,b", geqo: "off", work_mem: "1MB" }
      }],
      ["postgresql://h?options=-c%20search_path%3D%22a%5C%20b%22", { host: "h", settings: { search_path: "\"a b\"" } }],
      ["postgresql://h?options=-c+TimeZone%3DUTC+-c+geqo%3Doff", {
        host: "h",
        settings: { TimeZone: "UTC", geqo: "off" }
      }],
      ["postgresql://h?statement_timeout=5000&lock_timeout=2s&idle_in_transaction_session_timeout=0", {
        host: "h",
        limits: { statementTimeout: 5000, lockTimeout: 2000, idleInTransactionTimeout: 0 }
      }],
      ["postgresql://h?pgbouncer=true&schema=app&connection_limit=3&pool_timeout=7", {
        host: "h",
        prepare: false,
        settings: { search_path: "\"app\"" },
        pool: { size: 3, overflow: 0, acquireTimeout: 7000 }
      }],
      ["postgresql://h?keepalives=1&keepalives_idle=30&gssencmode=disable&client_encoding=UTF8", { host: "h" }]
    ]
    for (const [url, options] of cases) {
      it(url, () => {
        deepStrictEqual(read(url), { type: postgresql, ...options })
      })
    }
  })

  describe("mysql and mariadb", () => {
    const cases: ReadonlyArray<readonly [url: string, options: object]> = [
      ["mysql://u:p@h:3307/d", { type: "mysql", host: "h", port: 3307, username: "u", password: "p", database: "d" }],
      ["mysql+pymysql://u:p@h/d?charset=utf8mb4", {
        type: "mysql",
        host: "h",
        username: "u",
        password: "p",
        database: "d"
      }],
      ["mariadb+mariadbconnector://h/d", { type: "mariadb", host: "h", database: "d" }],
      ["mariadb:///d?unix_socket=/run/mysqld/mysqld.sock", {
        type: "mariadb",
        host: "/run/mysqld/mysqld.sock",
        database: "d"
      }],
      ["mysql://h?ssl-mode=VERIFY_IDENTITY&ssl-ca=/ca.pem", {
        type: "mysql",
        host: "h",
        ssl: "verify-full",
        sslRootCert: "/ca.pem"
      }],
      ["mysql://h?connect_timeout=2", { type: "mysql", host: "h", pool: { connectTimeout: 2000 } }],
      ["mysql://h?connectTimeout=2500", { type: "mysql", host: "h", pool: { connectTimeout: 2500 } }]
    ]
    for (const [url, options] of cases) {
      it(url, () => {
        deepStrictEqual(read(url), options)
      })
    }
  })

  describe("mssql", () => {
    const cases: ReadonlyArray<readonly [url: string, options: object]> = [
      ["mssql://sa:p@h:1434/d", { host: "h", port: 1434, username: "sa", password: "p", database: "d" }],
      ["mssql+pyodbc://sa:p@h/d?driver=ODBC+Driver+18+for+SQL+Server&TrustServerCertificate=yes", {
        host: "h",
        username: "sa",
        password: "p",
        database: "d",
        ssl: "require"
      }],
      ["mssql+pymssql://h\\inst/d?encrypt=no", { host: "h\\inst", database: "d", ssl: "disable" }],
      [
        "mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BODBC+Driver+18%7D%3BSERVER%3Dtcp%3Ah%2C1434%3BDATABASE%3Dd%3BUID%3Du%3BPWD%3Dp%2Bq",
        {
          host: "h",
          port: 1434,
          database: "d",
          username: "u",
          password: "p+q"
        }
      ],
      ["sqlserver://h:1434;database=d;user=u;password=p;encrypt=true", {
        host: "h",
        port: 1434,
        database: "d",
        username: "u",
        password: "p",
        ssl: "verify-full"
      }],
      ["sqlserver://h;databaseName=d;user=u@corp;password={p;a}}b=c@d};trustServerCertificate=true;", {
        host: "h",
        database: "d",
        username: "u@corp",
        password: "p;a}b=c@d",
        ssl: "require"
      }],
      ["jdbc:sqlserver://h\\inst;Initial Catalog=d;applicationIntent=ReadOnly;loginTimeout=9", {
        host: "h\\inst",
        database: "d",
        access: "read-only",
        pool: { connectTimeout: 9000 }
      }],
      ["sqlserver://;serverName=h;instanceName=inst;database=d", { host: "h\\inst", database: "d" }],
      ["Server=h;User ID=u;Password=\"ab\"", { host: "h", username: "u", password: "ab" }],
      // JDBC knows no quotes.
      ["jdbc:sqlserver://h;user=u;password=\"ab\"", { host: "h", username: "u", password: "\"ab\"" }],
      ["Server=h;Password='a;b' ; User ID = \"x=\"\"y\"\"\" ;", { host: "h", username: "x=\"y\"", password: "a;b" }],
      ["Server=h;Password='it''s';User ID=\"it's\"", { host: "h", username: "it's", password: "it's" }],
      ["Server=h;User ID=u;Password=a\"b'c", { host: "h", username: "u", password: "a\"b'c" }],
      ["Server=h;User ID=u;Password=''", { host: "h", username: "u", password: "" }],
      ["Server=tcp:h.example.com,1433;Database=d;User ID=u;Password=p;Encrypt=True;Connection Timeout=30", {
        host: "h.example.com",
        port: 1433,
        database: "d",
        username: "u",
        password: "p",
        ssl: "verify-full",
        pool: { connectTimeout: 30_000 }
      }]
    ]
    for (const [url, options] of cases) {
      it(url, () => {
        deepStrictEqual(read(url), { type: mssql, ...options })
      })
    }
  })

  describe("what cannot be read says which part and what is accepted", () => {
    const cases: ReadonlyArray<readonly [url: string, problem: RegExp]> = [
      ["", /^it is empty; accepted: sqlite:/],
      ["localhost", /^it has no scheme; accepted/],
      ["//u:hunter2@h/d", /^it has no scheme; accepted/],
      ["u:hunter2@h/d", /^it has no scheme that is known; accepted/],
      ["postgress://u:hunter2@h/d", /^the scheme "postgress" is not known \(is postgres meant\?\); accepted/],
      ["mongodb://u:hunter2@h/d", /^the scheme "mongodb" is not known; accepted/],
      ["https://u:hunter2@h/d", /^the scheme "https" is not known; accepted/],
      ["postgresql:u:hunter2@h/d", /^\/\/ is missing behind postgresql:; accepted/],
      ["postgresql:/u:hunter2@h/d", /^\/\/ is missing behind postgresql:; accepted/],
      ["postgresql://u:hunter2", /^the port of the host is not valid; accepted: a number from 1 to 65535/],
      ["postgresql://h:0/d", /^the port of the host/],
      ["postgresql://h:65536/d", /^the port of the host/],
      ["postgresql://a,b:x/d", /^the port of host 2/],
      ["postgresql://u:hunter2@h h/d", /^the host cannot be read; accepted: a name/],
      ["postgresql://u:hunter2@::1/d", /^the port of the host|^the host cannot be read/],
      ["postgresql://u:hunter2@[::1/d", /^the host cannot be read/],
      ["postgresql://u:hunter2@h\\i/d", /^the host cannot be read/],
      ["postgresql://u:hunter2%@h/d", /^the password has a % that begins no escape; accepted: % is written %25/],
      ["postgresql://u%zz:hunter2@h/d", /^the user's name has a %/],
      ["postgresql://u:hunter2@h/d%", /^the database's name has a %/],
      ["postgresql://u:hunter2@%/d", /^the host has a %/],
      ["postgresql://u:hun/ter2@h/d", /^an @ stands behind the first \/ or \?; accepted: .* \/ is written %2F/],
      ["postgresql://u:hun?ter2@h/d", /^an @ stands behind/],
      ["postgresql://u:hunter2@h/d/e", /^the path has more than one part/],
      [
        "postgresql://u:hunter2@h/d?sslmod=require",
        /^query parameter 1 is not known \(is sslmode meant\?\); accepted: host, /
      ],
      ["postgresql://u:hunter2@h/d?connect_timeout=1&x", /^query parameter 2 is not known; accepted/],
      [
        "postgresql://h?sslmode=requierd",
        /^query parameter sslmode has a value that cannot be used; accepted: disable, /
      ],
      ["postgresql://h?sslmode=require&sslmode=disable", /^query parameter sslmode is given twice/],
      ["postgresql://h?connect_timeout=soon", /^query parameter connect_timeout .* a number of seconds/],
      ["postgresql://h?options=search_path%3Da", /^query parameter options .* -c name=value/],
      ["postgresql://h?target_session_attrs=master", /^query parameter target_session_attrs .* read-write/],
      ["postgresql://h?client_encoding=latin1", /^query parameter client_encoding .* utf8/],
      ["postgresql://h?application_name=%", /^query parameter application_name has a %/],
      ["postgresql:///d?host=a,b&port=1,2,3", /^there are not as many ports as hosts/],
      ["mysql://h?sslmode=x", /^query parameter sslmode/],
      ["mysql://h?charset=latin1", /^query parameter charset .* utf8mb4/],
      ["mssql://h/d?integratedSecurity=true", /^query parameter integratedsecurity .* false/],
      ["mssql://h/d?encrypt=strict", /^query parameter encrypt/],
      [
        "sqlserver://h;database=d;password={hunter2",
        /^the settings behind the host cannot be read; accepted: name=value/
      ],
      ["Server=h;User ID=u;Password='hunter2", /^the settings behind the host cannot be read; accepted: name=value/],
      [
        "Server=h;User ID=u;Password=\"hunter2\"x",
        /^the settings behind the host cannot be read; accepted: name=value/
      ],
      ["sqlserver://h;databas=d;pwd=hunter2", /^setting 1 is not known \(is database meant\?\)/],
      ["sqlserver://u:hunter2@h;database=d", /^the (port of the )?host/],
      ["sqlite:", /^it has no path; accepted: sqlite:\/\/\/relative.db/],
      ["sqlite:///", /^it has no path/],
      ["sqlite://u:hunter2@h/d", /^it has no path/],
      ["file://server/share/x.db", /^it has no path/],
      ["file:x.db?mode=rw", /^query parameter mode .* ro, rwc, memory/],
      ["file:x.db?vfs=unix", /^query parameter vfs .* nothing: the system's own way/],
      ["file:x.db?wal=1", /^query parameter 1 is not known; accepted: mode, cache/],
      ["sqlite:///100%.db", /^the path has a %/],
      ["sqlite:///a%00b.db", /^the path holds a NUL/]
    ]
    for (const [url, problem] of cases) {
      it(JSON.stringify(url), () => {
        const found = problems(url)
        assertTrue(found.length > 0 && problem.test(found[0]!), `got: ${found.join(" | ")}`)
        assertTrue(!/hunter2|ter2/.test(found.join()))
      })
    }

    it("all faults of a URL at once", () => {
      deepStrictEqual(
        problems("postgresql://u%:p@a:x/d%?sslmode=x&nonsense=1").map((problem) => problem.split(/[;,]/)[0]),
        [
          "the user's name has a % that begins no escape",
          "the port of the host is not valid",
          "the database's name has a % that begins no escape",
          "query parameter sslmode has a value that cannot be used",
          "query parameter 2 is not known"
        ]
      )
    })

    it("the error is one of the option url", () => {
      assertLeft(Either.mapLeft(DbConfig.parseUrl("x:"), (error) => faultsOf(error).map(({ path }) => path)), [["url"]])
    })
  })

  const plain = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 })
  const word = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/)

  it("whatever user, password and name are, escaped they are read back", () => {
    fc.assert(
      fc.property(
        plain,
        plain,
        plain,
        word,
        fc.integer({ min: 1, max: 65_535 }),
        (user, password, name, host, port) => {
          const [u, p, n] = [user, password, name].map(encodeURIComponent)
          for (const type of ["postgresql", "mysql", "mariadb", "mssql"] as const) {
            deepStrictEqual(read(`${type}://${u}:${p}@${host}:${port}/${n}`), {
              type,
              username: user,
              password,
              host,
              port,
              database: name
            })
          }
        }
      )
    )
  })

  it("whatever a SQL Server password is, in quotes and in braces it is read back", () => {
    fc.assert(
      fc.property(plain, (password) => {
        for (const quote of ["\"", "'"]) {
          const quoted = `${quote}${password.replaceAll(quote, quote + quote)}${quote}`
          strictEqual(read(`Server=h;User ID=u;Password=${quoted};Database=d`).password, password)
        }
        strictEqual(
          read(`sqlserver://h;user=u;password={${password.replaceAll("}", "}}")}};database=d`).password,
          password
        )
      })
    )
  })

  it("reads what pg-connection-string reads", () => {
    const part = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 12 })
      // It decodes names of databases by another rule, which leaves the escapes of these as they are.
      .filter((text) => !/[;/?:@&=+$,#%]/.test(text))
    fc.assert(
      fc.property(
        part,
        part,
        // As the last segment of a path these two mean a folder to URL: they vanish there, and are a name here.
        part.filter((name) => name !== "." && name !== ".."),
        word,
        fc.option(fc.integer({ min: 1, max: 65_535 })),
        (user, password, name, host, port) => {
          const url = `postgresql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}` +
            `${port === null ? "" : `:${port}`}/${encodeURIComponent(name)}?application_name=x`
          const theirs = pgConnectionString.parse(url)
          const ours = read(url)
          deepStrictEqual(
            [ours.username, ours.password, ours.host, ours.port, ours.database, ours.applicationName],
            [
              theirs.user,
              theirs.password,
              theirs.host,
              theirs.port ? Number(theirs.port) : undefined,
              theirs.database,
              theirs.application_name
            ]
          )
        }
      )
    )
  })

  it("never throws", () => {
    const scheme = fc.constantFrom(
      "",
      "postgres:",
      "postgresql://",
      "mysql://",
      "mssql://",
      "sqlserver://",
      "sqlite:",
      "file:"
    )
    const rest = fc.array(
      fc.oneof(
        fc.constantFrom(..."/:@?&=%[];,{}\\#+".split("")),
        fc.constantFrom("host", "port", "options", "%2F"),
        plain
      ),
      { maxLength: 12 }
    )
    fc.assert(
      fc.property(scheme, rest, (scheme, rest) => {
        Either.isEither(DbConfig.parseUrl(scheme + rest.join("")))
      }),
      { numRuns: 3000 }
    )
  })
})
