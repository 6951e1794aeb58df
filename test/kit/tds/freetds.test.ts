/**
 * The server as FreeTDS's `tsql` and `bsqldb` see it: judges that know neither this server nor `tedious`. Skipped, with the
 * reason, where they are not installed (Debian: `freetds-bin`).
 */
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { standInCertificates } from "../mssql.js"
import { startTdsServer, type TdsServer } from "./server.js"

const missing = ["tsql", "bsqldb"].filter((program) => spawnSync(program, ["-?"]).error !== undefined)
const suite = missing.length === 0 ? describe : describe.skip
const reason = missing.length === 0
  ? ""
  : ` (skipped: ${missing.join(" and ")} of FreeTDS not found; Debian: apt-get install freetds-bin)`

suite(`FreeTDS${reason}`, () => {
  let server: TdsServer
  let folder: string
  beforeAll(async () => {
    const { server: tls } = await standInCertificates()
    server = await startTdsServer({ tls })
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "dblive-freetds-"))
    const section = (name: string, encryption: string): string =>
      `[${name}]\nhost = 127.0.0.1\nport = ${server.port}\ntds version = 7.4\nclient charset = UTF-8\nencryption = ${encryption}\n`
    fs.writeFileSync(
      path.join(folder, "freetds.conf"),
      section("login", "request") + section("all", "require") + section("none", "off")
    )
  })
  afterAll(async () => {
    await server.close()
    fs.rmSync(folder, { recursive: true, force: true })
  })

  /** Not synchronously: the server lives in this process. */
  const run = (program: string, args: ReadonlyArray<string>, input: string, env: Record<string, string> = {}) =>
    new Promise<{ readonly out: string; readonly all: string; readonly code: number | null }>((resolve, reject) => {
      const child = spawn(program, args, {
        env: { ...process.env, FREETDSCONF: path.join(folder, "freetds.conf"), ...env }
      })
      let out = ""
      let err = ""
      child.stdout.on("data", (chunk: Buffer) => out += chunk.toString("utf8"))
      child.stderr.on("data", (chunk: Buffer) => err += chunk.toString("utf8"))
      child.on("error", reject)
      child.on("close", (code) => resolve({ out, all: out + err, code }))
      child.stdin.end(input)
    })

  const tsql = (
    section: string,
    input: string,
    options: { readonly password?: string; readonly version?: string } = {}
  ) =>
    run(
      "tsql",
      ["-S", section, "-U", server.user, "-P", options.password ?? server.password, "-D", server.database, "-o", "fhq"],
      `${input}\ngo\nexit\n`,
      options.version === undefined ? {} : { TDSVER: options.version }
    )

  it("logs in with each way of encryption", async () => {
    for (const [section, encrypted] of [["login", "FALSE"], ["all", "TRUE"], ["none", "FALSE"]]) {
      const { out } = await tsql(
        section!,
        "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID"
      )
      expect(out.trim(), section).toBe(encrypted)
    }
  })

  it("speaks every version of TDS that has transaction descriptors", async () => {
    for (const version of ["7.2", "7.3", "7.4"]) {
      expect((await tsql("login", "SELECT N'añ中' AS a, 1 AS b", { version })).out.trim()).toBe("añ中\t1")
    }
  })

  it("is refused with a wrong password", async () => {
    const { all, code } = await tsql("login", "SELECT 1", { password: "wrong" })
    expect(all).toContain("18456")
    expect(all).not.toContain(server.password)
    expect(code).not.toBe(0)
  })

  it("reads every type", async () => {
    const { out } = await tsql(
      "all",
      `SELECT CAST(1 AS TINYINT), CAST(-2 AS SMALLINT), 3, CAST(9223372036854775807 AS BIGINT), CAST(1 AS BIT),
        CAST(-1.5 AS FLOAT), CAST(0.25 AS REAL), CAST(-12345678901234567890.12 AS DECIMAL(38, 2)), CAST(-0.0001 AS MONEY),
        CAST(214748.3647 AS SMALLMONEY), CAST('00112233-4455-6677-8899-AABBCCDDEEFF' AS UNIQUEIDENTIFIER), 0x00FF, NULL,
        CAST('x' AS CHAR(3)), N'é', CAST(REPLICATE(N'ab', 3000) AS NVARCHAR(MAX)), CAST('2024-02-29' AS DATE),
        CAST('2024-02-29T01:02:03.997' AS DATETIME)`
    )
    const long = "ab".repeat(2000)
    expect(out.trim().split("\t")).toEqual([
      "1",
      "-2",
      "3",
      "9223372036854775807",
      "1",
      "-1.5",
      "0.25",
      "-12345678901234567890.12",
      "-0.0001",
      "214748.3647",
      "00112233-4455-6677-8899-AABBCCDDEEFF",
      "00ff",
      "NULL",
      "x  ",
      "é",
      long,
      "Feb 29 2024 12:00AM",
      "Feb 29 2024 01:02AM"
    ])
  })

  it("reads tables, several answers, messages and errors", async () => {
    const { all, out } = await tsql(
      "login",
      `CREATE TABLE f (id INT IDENTITY PRIMARY KEY, v NVARCHAR(10) NULL, w INT NULL, x INT NULL)
      INSERT INTO f (v) VALUES (N'a'), (NULL), (N'c')
      SELECT * FROM f ORDER BY id
      PRINT 'said'
      SELECT COUNT(*) FROM f
      INSERT INTO f (id) VALUES (1)
go
      BEGIN TRAN
      DELETE FROM f
      ROLLBACK
      SELECT COUNT(*) FROM f`
    )
    expect(out.trim().split("\n")).toEqual(["1\ta\tNULL\tNULL", "2\tNULL\tNULL\tNULL", "3\tc\tNULL\tNULL", "3", "3"])
    expect(all).toContain("said")
    expect(all).toContain("Msg 544 (severity 16, state 1) from TESTSERVER")
  })

  it("reads many packets", async () => {
    const { out } = await tsql(
      "all",
      "WITH s (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM s WHERE x < 20000) SELECT x FROM s OPTION (MAXRECURSION 0)"
    )
    expect(out.trim().split("\n")).toEqual(Array.from({ length: 20_000 }, (_, i) => String(i + 1)))
  })

  it("runs batches by db-lib too", async () => {
    const { out } = await run(
      "bsqldb",
      ["-S", "login", "-U", server.user, "-P", server.password, "-D", server.database, "-q", "-t", ","],
      "SELECT 1 AS a, N'b' AS b UNION ALL SELECT 2, N'c'\n"
    )
    expect(out.split("\n").map((line) => line.replaceAll(" ", "")).filter((line) => line !== "")).toEqual([
      "1,b",
      "2,c"
    ])
  })
})
