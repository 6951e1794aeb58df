/**
 * All commands: each with its group and its line in the overview, and with examples for its help.
 */
import * as Command from "@effect/cli/Command"
import { check } from "./check.js"
import { doctor } from "./doctor.js"
import { shapeOf } from "./effectCli.js"
import { init } from "./init.js"
import { baseline, create, migrate, plan, repair, status, undo, validate } from "./migrations.js"
import { health, info, ping, query } from "./questions.js"
import type { Shape } from "./shape.js"

const registered = [
  {
    group: "A project",
    command: init,
    summary: "write a first migration, src/db.ts and a test; say what to install",
    examples: ["dblive init --type postgresql", "dblive init --type sqlite --dry-run"]
  },
  {
    group: "A project",
    command: doctor,
    summary: "look whether packages, settings, servers, clocks and pools are well",
    examples: ["dblive doctor --env production --processes 8", "dblive doctor --json"]
  },
  {
    group: "Migrations",
    command: migrate,
    summary: "apply what is pending, one runner at a time",
    examples: ["dblive migrate --env production", "dblive migrate -d SurveyHub --target 3"]
  },
  {
    group: "Migrations",
    command: status,
    summary: "the current version and the state of each migration",
    examples: ["dblive status --database SurveyHub --json"]
  },
  {
    group: "Migrations",
    command: plan,
    summary: "the SQL that migrate would run",
    examples: ["dblive plan --target 3"]
  },
  {
    group: "Migrations",
    command: validate,
    summary: "check that everything is applied and unchanged",
    examples: ["dblive validate --env production || exit 1"]
  },
  {
    group: "Migrations",
    command: repair,
    summary: "mend the history: failed rows, checksums of edited files",
    examples: ["dblive repair --yes"]
  },
  {
    group: "Migrations",
    command: baseline,
    summary: "say that a database is at a version already",
    examples: ["dblive baseline 3 --description \"before dblive\""]
  },
  {
    group: "Migrations",
    command: undo,
    summary: "take back the latest version, or down to --target",
    examples: ["dblive undo", "dblive undo --target 2 --yes"]
  },
  {
    group: "Migrations",
    command: create,
    summary: "write the file of the next migration",
    examples: ["dblive new \"Create users\" --undo"]
  },
  {
    group: "Statements",
    command: check,
    summary: "compare .sql files with the schema; --write makes functions of them",
    examples: ["dblive check", "dblive check --write", "dblive check -d SurveyHub --tag src/db.ts#SurveyHub"]
  },
  {
    group: "The database",
    command: ping,
    summary: "whether it answers; --wait 30s keeps trying",
    examples: ["dblive ping --wait 30s && node server.js"]
  },
  {
    group: "The database",
    command: health,
    summary: "whether it answers, how fast, and the pool's figures",
    examples: ["dblive health --json"]
  },
  {
    group: "The database",
    command: info,
    summary: "what the configuration leads to",
    examples: ["dblive info --env production"]
  },
  {
    group: "The database",
    command: query,
    summary: "run one statement; --format table, json or csv",
    examples: [
      "dblive query \"SELECT * FROM users WHERE name = :name\" --param name=Ada --format csv",
      "dblive query --json < report.sql"
    ]
  }
] as const

/** One command in the overview and the help. */
export interface Entry {
  readonly group: string
  readonly shape: Shape
  readonly summary: string
  readonly examples: ReadonlyArray<string>
}

/** What the overview and the help tell of each command. */
export const entries: ReadonlyArray<Entry> = registered.map(({ command, examples, group, summary }) => ({
  group,
  shape: shapeOf(command),
  summary,
  examples
}))

type Registered = typeof registered[number]["command"]

/** The whole command line. */
export const dblive = Command.make("dblive").pipe(
  Command.withDescription(
    "Migrations and questions for the databases of a program that uses dblive."
  ),
  Command.withSubcommands(
    // There is at least one.
    registered.map(({ command }) => command) as unknown as readonly [Registered, ...ReadonlyArray<Registered>]
  )
)
