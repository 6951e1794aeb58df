import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import type { Migration } from "../../src/internal/migrator/Migration.js"
import { compareVersions, versionKey } from "../../src/internal/migrator/Name.js"
import type { Row } from "../../src/internal/migrator/State.js"
import { compare, describeProgress } from "../../src/internal/migrator/State.js"

const versioned = (version: string, checksum = 1, kind: "versioned" | "undo" = "versioned"): Migration => ({
  kind,
  version,
  description: "x",
  script: `${kind === "undo" ? "U" : "V"}${version}__x.sql`,
  checksum,
  body: { _tag: "Effect", effect: Effect.void, transaction: true }
})

const repeatable = (description: string, checksum: number): Migration => ({
  ...versioned("0", checksum),
  kind: "repeatable",
  version: undefined,
  description,
  script: `R__${description}.sql`
})

let rank = 0
const row = (version: string | undefined, more: Partial<Row> = {}): Row => ({
  installedRank: ++rank,
  version,
  description: "x",
  type: "SQL",
  script: version === undefined ? "R__x.sql" : `V${version}__x.sql`,
  checksum: 1,
  installedBy: "me",
  installedOn: "2026-01-01",
  executionTime: 1,
  success: true,
  ...more
})

const options = { target: undefined, outOfOrder: false }
const states = (migrations: ReadonlyArray<Migration>, rows: ReadonlyArray<Row>) =>
  compare(migrations, rows, options).migrations.map((info) => `${info.version ?? info.description} ${info.state}`)

describe("State", () => {
  it("rows of Flyway that are no migrations are understood", () => {
    const rows = [
      row(undefined, { installedRank: 0, type: "SCHEMA", script: "\"public\"" }),
      row("1", { type: "BASELINE", description: "<< Flyway Baseline >>", checksum: undefined }),
      row("2", { type: "JDBC", checksum: undefined }),
      row("3"),
      row("3", { type: "DELETE" }),
      row("4"),
      row("4", { type: "UNDO_SQL" }),
      row(undefined, { description: "view", checksum: 7 })
    ]
    expect(states([versioned("1"), versioned("2"), versioned("3"), versioned("4"), repeatable("view", 7)], rows))
      .toEqual([
        "1 below baseline",
        "1 baseline",
        "2 success",
        "3 pending",
        "4 pending",
        "view success"
      ])
  })

  it("Flyway's rows: the creation of the schema, a baseline migration, what its repair marked as deleted", () => {
    const state = compare([versioned("1"), versioned("3"), versioned("4"), versioned("5")], [
      row(undefined, { installedRank: 0, type: "SCHEMA", description: "<< Flyway Schema Creation >>" }),
      row("3", { installedRank: 1, type: "SQL_BASELINE" }),
      row("4", { installedRank: 2 }),
      row("5", { installedRank: 3 }),
      row("5", { installedRank: 4, type: "DELETE" }),
      row(undefined, { installedRank: 5, description: "view" }),
      row(undefined, { installedRank: 6, description: "view", type: "DELETE" })
    ], options)
    expect(state.problems).toEqual([])
    expect(state.current).toBe("4")
    expect(state.pending.map((migration) => migration.version)).toEqual(["5"])
    expect(state.migrations.map((info) => `${info.version} ${info.state}`)).toEqual([
      "1 below baseline",
      "3 below baseline",
      "3 baseline",
      "4 success",
      "5 pending"
    ])
  })

  it("an undo that failed is a failure until it is repaired", () => {
    const state = compare([versioned("1"), versioned("1", 1, "undo")], [
      row("1"),
      row("1", { type: "UNDO_SQL", success: false })
    ], options)
    expect(state.problems).toMatchObject([{ reason: "Failed" }])
    expect(state.repairs).toMatchObject([{ _tag: "RemoveFailed", row: { type: "UNDO_SQL" } }])
  })

  it("a repeatable one that failed is found by its description without the progress", () => {
    const failed = row(undefined, {
      description: describeProgress("view", "failed at line 3; 1 statement done"),
      success: false
    })
    const state = compare([repeatable("view", 1)], [failed], options)
    expect(state.migrations).toMatchObject([{
      state: "failed",
      description: "view [failed at line 3; 1 statement done]"
    }])
    expect(state.pending).toEqual([])
  })

  it("progress fits into the column, however long the description is", () => {
    expect(describeProgress("x".repeat(200), "running; 12 statements done, last line 1234567")).toHaveLength(200)
  })

  const version = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 2 }).map((parts) =>
    parts.join(".")
  )
  const versions = fc.uniqueArray(version, { selector: versionKey, maxLength: 6 })

  it("each migration has one state; what is pending is in order, unapplied, and never below the current version in silence", () => {
    fc.assert(
      fc.property(
        versions,
        versions,
        fc.boolean(),
        fc.option(version, { nil: undefined }),
        (files, applied, outOfOrder, target) => {
          const migrations = files.map((v) => versioned(v))
          const state = compare(migrations, applied.map((v) => row(v)), { target, outOfOrder })
          const keys = state.migrations.map((info) => versionKey(info.version!))
          expect([...keys].sort()).toEqual([...new Set([...files, ...applied].map(versionKey))].sort())
          const isApplied = new Set(applied.map(versionKey))
          const pending = state.pending.map((migration) => migration.version!)
          expect(pending).toEqual([...pending].sort(compareVersions))
          expect(pending.some((v) => isApplied.has(versionKey(v)))).toBe(false)
          for (const file of files) {
            if (isApplied.has(versionKey(file)) || pending.includes(file)) {
              continue
            }
            // Neither applied nor to be run: asked for by the target, or a problem.
            const isAbove = target !== undefined && compareVersions(file, target) > 0
            expect(
              isAbove || state.problems.some((problem) => problem.reason === "OutOfOrder" && problem.version === file)
            ).toBe(true)
          }
          if (outOfOrder) {
            expect(state.problems.every((problem) => problem.reason === "Missing")).toBe(true)
          }
          // Running what is pending leaves nothing to run.
          const after = compare(migrations, [...applied, ...pending].map((v) => row(v)), { target, outOfOrder })
          expect(after.pending).toEqual([])
          if (state.problems.length === 0) {
            expect(after.problems).toEqual([])
          }
        }
      ),
      { numRuns: 500 }
    )
  })

  it("a thousand migrations are compared in milliseconds", () => {
    const files = Array.from({ length: 1_000 }, (_, i) => versioned(String(i + 1)))
    const rows = files.map((migration) => row(migration.version))
    const began = performance.now()
    expect(compare(files, rows, options).problems).toEqual([])
    expect(performance.now() - began).toBeLessThan(250)
  })
})
