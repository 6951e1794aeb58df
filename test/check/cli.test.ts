/** `dblive check`, and what docs/checked-sql.md shows of it. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { shell } from "../cli/shell.js"
import { describeMysql, freshMysqlDatabase, mysqlQuery, sharedMysql } from "../kit/mysql.js"
import { describePostgres, freshDatabase, query, sharedPostgres } from "../kit/postgres.js"

const root = fileURLToPath(new URL("../..", import.meta.url))
const example = path.join(root, "examples/checked-sql")

/** The console of a document: commands, and what they write. */
const shown = (file: string): string =>
  [...fs.readFileSync(path.join(root, file), "utf8").matchAll(/```console\n([\s\S]*?)\n```/g)].map(([, text]) => text)
    .join("\n\n")

describe("dblive check", () => {
  it.scopedLive(
    "writes the file of functions, and tells which statement a migration breaks",
    () =>
      Effect.gen(function*() {
        const { dblive, folder, write } = yield* shell
        for (const part of ["migrations", "queries"]) {
          fs.cpSync(path.join(example, part), path.join(folder, part), { recursive: true })
        }
        const parts: Array<string> = []
        const run = (...args: ReadonlyArray<string>) =>
          Effect.map(dblive(args), ({ code, err, out }) => {
            expect(err).toBe("default: sqlite:data/dblive.db\n".replace("data/", ""))
            parts.push(`$ dblive ${args.join(" ")}\n${out}${code === 0 ? "" : `[exit code ${code}]\n`}`)
            return code
          })
        expect(yield* run("check")).toBe(1)
        expect(yield* run("check", "--write")).toBe(0)
        expect(yield* run("check")).toBe(0)
        const text = fs.readFileSync(path.join(folder, "queries.ts"), "utf8")
        expect(text.replace("\"dblive\"", "\"../../src/index.js\"")).toBe(
          fs.readFileSync(path.join(example, "queries.ts"), "utf8")
        )
        // Nothing of the configured database is made.
        expect(fs.readdirSync(folder).sort()).toEqual(["migrations", "queries", "queries.ts"])
        write("migrations/default/V002__Rename_title.sql", "ALTER TABLE posts RENAME COLUMN title TO heading;\n")
        expect(yield* run("check")).toBe(1)
        expect(shown("docs/checked-sql.md")).toBe(parts.join("\n").trimEnd())
        for (
          const file of ["migrations/default/V001__Create_users.sql", "queries/find-user.sql", "queries/posts.sql"]
        ) {
          expect(fs.readFileSync(path.join(root, "docs/checked-sql.md"), "utf8")).toContain(
            `\`\`\`sql\n${fs.readFileSync(path.join(example, file), "utf8")}\`\`\`\n`
          )
        }
        const json = yield* dblive(["check", "--json"])
        expect(json.code).toBe(1)
        expect(JSON.parse(json.out)).toMatchObject({
          ok: false,
          statements: [expect.objectContaining({ name: "findUser" }), expect.objectContaining({ name: "addUser" })],
          problems: [{ file: "queries/posts.sql", line: 3, name: "addPost" }, { line: 6 }, { line: 11 }],
          output: null
        })
      }),
    60_000
  )

  it.scopedLive(
    "writes over no file that it has not made, and says which file it cannot read",
    () =>
      Effect.gen(function*() {
        const { dblive, folder, write } = yield* shell
        write("migrations/default/V1__note.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY);")
        write("queries/all.sql", "SELECT id FROM note WHERE id = :__proto__")
        write("queries.ts", "export const mine = 1\n")
        const refused = yield* dblive(["check", "--write"])
        expect(refused.code).toBe(2)
        expect(refused.err).toContain(
          "queries.ts is no file that dblive check has made, and stays as it is: --out names another file for the functions"
        )
        expect(fs.readFileSync(path.join(folder, "queries.ts"), "utf8")).toBe("export const mine = 1\n")
        const asFolder = yield* dblive(["check", "--out", "queries"])
        expect(asFolder.code).toBe(2)
        expect(asFolder.err).toContain("queries is a folder")
        expect((yield* dblive(["check", "--write", "--out", "made.ts"])).code).toBe(0)
        // `__proto__: value` in a literal makes no property.
        expect(fs.readFileSync(path.join(folder, "made.ts"), "utf8")).toContain(
          "{ [\"__proto__\"]: params.__proto__ }"
        )
        fs.symlinkSync("nothing", path.join(folder, "queries/link.sql"))
        write("src/report.ts", "Db.sqlFile(\"migrations\")")
        const unread = yield* dblive(["check", "--out", "made.ts"])
        expect(unread.code).toBe(1)
        expect(unread.out).toContain("migrations:1: this file cannot be read (EISDIR)\n")
        expect(unread.out).toContain("queries/link.sql:1: this file cannot be read (ENOENT)\n")
      }),
    60_000
  )

  it.scopedLive("names the class of another database, and refuses what cannot be meant", () =>
    Effect.gen(function*() {
      const { dblive, folder, write } = yield* shell
      write("migrations/Notes/V1__note.sql", "CREATE TABLE ${table} (id INTEGER PRIMARY KEY);")
      write("sql/all.sql", "SELECT id FROM note")
      const notes = ["check", "-d", "Notes", "--create", "--queries", "sql", "-p", "table=note"]
      expect(yield* dblive([...notes, "--write", "--tag", "src/db.ts#Notes", "--out", "src/made/all.ts"]))
        .toMatchObject({
          code: 0,
          out: "1 statement fits the schema\nsrc/made/all.ts was written\n"
        })
      expect(fs.readFileSync(path.join(folder, "src/made/all.ts"), "utf8")).toContain(
        "import { Notes } from \"../db.js\"\n"
      )
      for (
        const [args, message] of [
          [notes, "--tag src/db.ts#Notes"],
          [[...notes, "--tag", "src/db.ts"], "give FILE#NAME"],
          [["check"], "there is no folder queries"],
          [["check", "--queries", "sql/all.sql"], "there is no folder sql/all.sql"],
          [
            ["check", "--with", "pglite", "--queries", "sql"],
            "--with pglite is for PostgreSQL, and \"default\" is sqlite"
          ],
          [
            ["check", "--url", "sqlserver://localhost/x", "--queries", "sql"],
            "statements of SQL Server cannot be checked"
          ]
        ] as const
      ) {
        expect(yield* dblive(args), args.join(" ")).toMatchObject({ code: 2, err: expect.stringContaining(message) })
      }
      write("migrations/default/V1__bad.sql", "CREATE TABLE")
      expect(yield* dblive(["check", "--queries", "sql"])).toMatchObject({
        code: 1,
        err: expect.stringContaining("V1__bad")
      })
    }), 60_000)

  const project = Effect.map(shell, (given) => {
    given.write("migrations/default/V1__note.sql", "CREATE TABLE note (id INT PRIMARY KEY, body VARCHAR(20) NOT NULL);")
    given.write("queries/all.sql", "SELECT id, body FROM note")
    return given
  })
  const fits = { code: 0, out: "1 statement fits the schema\nqueries.ts was written\n" }

  it.scopedLive("needs no server for PostgreSQL: PGlite", () =>
    Effect.gen(function*() {
      const { dblive } = yield* project
      const url = "postgres://nobody@unreachable.invalid/shop"
      expect(yield* dblive(["check", "--write", "--url", url, "--with", "pglite"])).toMatchObject(fits)
    }), 90_000)

  describePostgres("on a server of PostgreSQL", () => {
    it.scopedLive("makes a database of its own, and leaves none", () =>
      Effect.gen(function*() {
        const { dblive } = yield* project
        const { url } = yield* freshDatabase
        const env = { TEST_POSTGRES_URL: sharedPostgres().url }
        const check = ["check", "--write", "--url", url]
        expect(yield* dblive([...check, "--with", "server"])).toMatchObject(fits)
        expect(yield* dblive(check, { env })).toMatchObject({
          code: 0,
          out: "1 statement fits the schema\nqueries.ts is up to date\n"
        })
        expect(yield* query(url, "SELECT datname FROM pg_database WHERE datname LIKE 'dblive\\_check\\_%'")).toEqual([])
        expect(yield* query(url, "SELECT relname FROM pg_class WHERE relname = 'note'")).toEqual([])
      }), 90_000)
  })

  describeMysql("on a server of MySQL", () => {
    it.scopedLive("makes a database of its own, and leaves none", () =>
      Effect.gen(function*() {
        const { dblive } = yield* project
        const { url } = yield* freshMysqlDatabase
        expect(yield* dblive(["check", "--write", "--url", url])).toMatchObject(fits)
        const { url: all } = yield* sharedMysql
        expect(yield* mysqlQuery(all, "SHOW DATABASES LIKE 'dblive\\_check\\_%'")).toEqual([])
        expect(yield* mysqlQuery(url, "SHOW TABLES")).toEqual([])
      }), 90_000)
  })
})
