import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { entries } from "../../src/internal/cli/commands.js"
import { hasColours } from "../../src/internal/cli/style.js"
import { shell } from "./shell.js"

const sqlite = ["--url", "sqlite:///test.db"]

/** The one document that standard output has to be. */
const document = (
  out: string
): { readonly ok: boolean; readonly error?: { readonly _tag: string; readonly message: string } } => JSON.parse(out)

describe("arguments of dblive", () => {
  it.scopedLive(
    "a mistyped command, option, value or argument is told with the one that was meant",
    () =>
      Effect.gen(function*() {
        const { dblive, folder } = yield* shell
        const cases: ReadonlyArray<readonly [args: string, says: string]> = [
          ["migrat", "migrat is no command of dblive; is migrate meant? (commands: init, doctor, migrate, status, "],
          ["nonsense", "nonsense is no command of dblive (commands: "],
          ["--josn status", "--josn stands before the command"],
          [
            "migrate --lock-wiat 3s",
            "--lock-wiat is no option of migrate; is --lock-wait meant?\nnext: dblive migrate --help"
          ],
          ["migrate --lockwait 3s", "is --lock-wait meant?"],
          ["migrate -json", "-json is no option of migrate; is --json meant?"],
          ["migrate --nonsense", "--nonsense is no option of migrate\n"],
          ["status josn", "\"josn\" is one argument too many: status takes none; is --json meant?"],
          ["migrate -p a=1 b=2", "\"b=2\" is one argument too many: migrate takes none; is --placeholder b=2 meant?"],
          ["new a b", "\"b\" is one argument too many: new takes NAME"],
          ["new", "NAME is missing: dblive new NAME"],
          [
            "status --env prodution",
            "--env: \"prodution\" is not accepted; is production meant? (accepted: production, development, test)"
          ],
          ["status --url", "--url needs a value: --url URL"],
          ["status --url --json", "--url needs a value: --url URL"],
          ["migrate --placeholder a", "--placeholder needs a key and a value: --placeholder KEY=VALUE"],
          ["status -d a --database b", "--database is given twice"],
          ["status --json=maybe", "--json takes no value"],
          ["migrate --lock-wait soon", "--lock-wait: \"soon\" is not accepted; give a length of time"]
        ]
        for (const [args, says] of cases) {
          const words = args.split(" ")
          const text = yield* dblive(words)
          expect(text, args).toMatchObject({ code: 2 })
          if (!args.includes("json")) {
            expect(text.out, args).toBe("")
            expect(text.err, args).toContain(says)
            expect(text.err, args).toMatch(/\nnext: dblive (?:\w+ )?--help\n$/)
          }
          const json = yield* dblive(
            [...words, "--json"].filter((word, i, all) => word !== "--json" || all.indexOf(word) === i)
          )
          expect(json, args).toMatchObject({ code: 2, err: "" })
          expect(document(json.out), args).toMatchObject({ ok: false, error: { _tag: "UsageError" } })
          expect(document(json.out).error!.message, args).toContain(says)
        }
        expect(fs.readdirSync(folder)).toEqual([])
      }),
    60_000
  )

  it.scopedLive("stand in any order, joined or apart", () =>
    Effect.gen(function*() {
      const { dblive } = yield* shell
      const rows = (args: ReadonlyArray<string>) => Effect.map(dblive(args), ({ out }) => JSON.parse(out) as unknown)
      const select = "SELECT :who AS who"
      expect(yield* rows(["query", "--param", "who=Ada", select, ...sqlite, "-f", "json"])).toEqual([{ who: "Ada" }])
      expect(yield* rows(["query", "--param", "who=Ada", "SELECT :who = 'Ada' AS a", ...sqlite, "-f", "json"])).toEqual(
        [{ a: 1 }]
      )
      expect(yield* rows(["query", ...sqlite, "--format=json", "--PARAM=who=a=b", "--", select])).toEqual([{
        who: "a=b"
      }])
      expect(yield* rows(["query", ...sqlite, "-f", "json", "-- a comment\nSELECT 1 AS n"])).toEqual([{ n: 1 }])
      expect(yield* rows(["--json", "--log-level", "none", "query", "SELECT 1 AS n", ...sqlite])).toEqual({
        ok: true,
        rows: [{ n: 1 }],
        rowsAffected: 0,
        lastInsertId: null
      })
      // It is the name of a command, too.
      expect((yield* dblive(["query", "SELECT 1 AS n", ...sqlite, "--log-level", "info"])).code).toBe(0)
      expect((yield* dblive(["undo", "-yt", "1", ...sqlite, "-m", "nowhere"])).code).toBe(3)
    }), 60_000)

  it.scopedLive(
    "each command has a help of its own, with every option, and the same as JSON",
    () =>
      Effect.gen(function*() {
        const { dblive } = yield* shell
        for (const { examples, shape } of entries) {
          const help = yield* dblive([shape.name, "--help"])
          expect(help, shape.name).toMatchObject({ code: 0, err: "" })
          expect(yield* dblive(["help", shape.name])).toEqual(help)
          expect(help.out).toMatch(new RegExp(`^dblive ${shape.name}: `))
          expect(help.out).toContain(`Usage: dblive ${shape.name}`)
          expect(shape.text, shape.name).not.toBe("")
          for (const { names, text } of shape.options) {
            expect(help.out, shape.name).toContain(`${names.join(", ")}`)
            expect(text, `${shape.name} ${names.join()}`).not.toBe("")
            // What @effect/cli says of every option.
            expect(text).not.toMatch(/This setting|user-defined|true or false value|One of the following/)
          }
          expect(examples.length, shape.name).toBeGreaterThan(0)
          expect(help.out).toContain(examples[0])
          expect(Math.max(...help.out.split("\n").map((line) => line.length)), shape.name).toBeLessThanOrEqual(100)
          const json = yield* dblive([shape.name, "--help", "--json"])
          expect(document(json.out)).toMatchObject({ ok: true, command: shape.name, options: expect.any(Array) })
        }
        expect(document((yield* dblive(["--help", "--json"])).out)).toMatchObject({
          ok: true,
          commands: expect.any(Array)
        })
        expect(document((yield* dblive(["--json", "--version"])).out)).toEqual({
          ok: true,
          version: expect.any(String)
        })
      }),
    60_000
  )

  it.scopedLive(
    "--json: each command writes one document, and ends with the same code as without",
    () =>
      Effect.gen(function*() {
        const { dblive, write } = yield* shell
        write("migrations/default/V1__a.sql", "CREATE TABLE a (x INTEGER);")
        write("migrations/default/U1__a.sql", "DROP TABLE a;")
        const silent = ["--url", "sqlite:////dev/null/x.db"]
        const calls: ReadonlyArray<ReadonlyArray<string>> = [
          ...entries.filter(({ shape }) => shape.options.some(({ names }) => names.includes("--url"))).flatMap((
            { shape }
          ) => [
            [shape.name, ...silent, ...(shape.name === "query" ? ["SELECT 1"] : [])],
            [
              shape.name,
              ...sqlite,
              ...(shape.name === "undo" || shape.name === "repair" ? ["--yes"] : []),
              ...(shape.name === "query" ? ["SELECT 1"] : [])
            ]
          ]),
          ["new", "../out"],
          ["status", "-d", "Nope"],
          ["status", "--env", "production"],
          ["status", ...sqlite, "-m", "nowhere"]
        ]
        for (const args of calls) {
          const json = yield* dblive([...args, "--json"])
          const parsed = document(json.out)
          expect(parsed.ok, args.join(" ")).toBe(json.code === 0)
          if (args.includes(silent[1]!)) {
            expect(json.code, args.join(" ")).not.toBe(0)
            expect(parsed, args.join(" ")).toHaveProperty(
              args[0] === "doctor" ? "problems.0" : args[0] === "health" ? "error" : "error._tag"
            )
          }
          const text = yield* dblive(args)
          // What the first call has done is done.
          if (!["migrate", "undo", "baseline"].includes(args[0]!) || json.code !== 0) {
            expect(text.code, args.join(" ")).toBe(json.code)
          }
        }
      }),
    120_000
  )

  it.scopedLive(
    "the name of a database in any case: its variables, and the folder of its migrations",
    () =>
      Effect.gen(function*() {
        const { dblive, folder, write } = yield* shell
        write("migrations/SurveyHub/V1__a.sql", "CREATE TABLE a (x INTEGER);")
        write(".env", "SURVEY_HUB_DATABASE_URL=sqlite:///hub.db\nREPORTING_DATABASE_URL=sqlite:///r.db\n")
        for (const name of ["surveyhub", "survey_hub", "SURVEYHUB", "SurveyHub"]) {
          const migrated = yield* dblive(["migrate", "-d", name])
          expect(migrated, name).toMatchObject({ code: 0 })
          expect(migrated.err, name).toMatch(/^(SurveyHub|survey_hub): sqlite:hub\.db\n/)
          expect(yield* dblive(["status", "-d", name]), name).toMatchObject({
            code: 0,
            out: expect.stringContaining("version 1")
          })
        }
        expect((yield* dblive(["new", "b", "-d", "surveyhub"])).out).toBe("migrations/SurveyHub/V002__b.sql\n")
        expect((yield* dblive(["ping", "-d", "Reporting"])).err).toBe("Reporting: sqlite:r.db\n")
        expect(fs.readdirSync(path.join(folder, "migrations"))).toEqual(["SurveyHub"])
        expect((yield* dblive(["ping", "-d", "surveyhubs"])).err).toContain("is \"survey_hub\" meant?\n")
      }),
    60_000
  )

  it.scopedLive("status says what to do next", () =>
    Effect.gen(function*() {
      const { dblive, folder, write } = yield* shell
      write("migrations/default/V1__a.sql", "CREATE TABLE a (x INTEGER);")
      write("migrations/default/V2__b.sql", "CREATE TABLE b (x INTEGER);")
      expect((yield* dblive(["status", ...sqlite])).out).toMatch(/\n\nnext: run `dblive migrate`\n$/)
      yield* dblive(["migrate", ...sqlite])
      expect((yield* dblive(["status", ...sqlite])).out).not.toContain("next:")
      fs.rmSync(path.join(folder, "migrations/default/V1__a.sql"))
      expect((yield* dblive(["status", ...sqlite])).out).toMatch(
        /there is no such migration here\n\nnext: put the file back, for instance from version control\n$/
      )
    }), 60_000)

  it.scopedLive("a warning of the library is a line of the command", () =>
    Effect.gen(function*() {
      const { dblive } = yield* shell
      const debug = yield* dblive(["ping", ...sqlite, "--log-level", "debug"])
      expect(debug.err).toMatch(/^debug: database opened \(.*operation=open/m)
      expect(debug.err).not.toMatch(/timestamp=|fiber=#/)
      expect(debug.out).toMatch(/^default answers/)
    }))
})

describe("colours of dblive", () => {
  const terminal = {
    isTTY: true,
    getColorDepth: (env?: object) => env !== undefined && "TERM" in env && env.TERM === "dumb" ? 1 : 8
  }

  it("a terminal has them, unless it or the user says no", () => {
    expect(hasColours(terminal, {})).toBe(true)
    expect(hasColours({}, {})).toBe(false)
    expect(hasColours(terminal, { NO_COLOR: "1" })).toBe(false)
    expect(hasColours(terminal, { NO_COLOR: "" })).toBe(true)
    expect(hasColours(terminal, { TERM: "dumb" })).toBe(false)
    expect(hasColours({}, { FORCE_COLOR: "1" })).toBe(true)
    expect(hasColours({}, { FORCE_COLOR: "1", NO_COLOR: "1" })).toBe(true)
    expect(hasColours(terminal, { FORCE_COLOR: "0" })).toBe(false)
  })

  it.scopedLive("errors, help and tables; never JSON or CSV, and what the database says stays as it is", () =>
    Effect.gen(function*() {
      const { dblive } = yield* shell
      const coloured = { env: { FORCE_COLOR: "1" } }
      expect((yield* dblive(["migrat"], coloured)).err).toMatch(
        /^\u001b\[31mmigrat is no command.*\u001b\[39m\n\u001b\[1mnext:\u001b\[22m /
      )
      expect((yield* dblive(["--help"], coloured)).out).toContain("\u001b[36mmigrate\u001b[39m")
      const select = ["query", ...sqlite, "SELECT 'a' || char(27) || '[31mb' AS a"]
      expect((yield* dblive(select, coloured)).out).toMatch(/^\u001b\[1ma\u001b\[22m\n/)
      expect((yield* dblive([...select, "-f", "csv"], coloured)).out).toBe("a\r\na\u001b[31mb\n")
      expect((yield* dblive([...select, "-f", "csv"])).out).toBe("a\r\na\u001b[31mb\n")
      expect((yield* dblive([...select, "--json"], coloured)).out).not.toContain("\u001b")
      expect((yield* dblive(["migrat"])).err).not.toContain("\u001b")
    }))
})
