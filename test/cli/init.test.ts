import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { managerOf } from "../../src/internal/cli/install.js"
import { families } from "../../src/internal/cli/templates.js"
import { known } from "../../src/internal/config/variables.js"
import { shell } from "./shell.js"

const files = [".env.example", "migrations/default/V001__init.sql", "src/db.ts", "test/db.test.ts"]

describe("dblive init", () => {
  it.scopedLive("--dry-run writes nothing; without a terminal the database has to be told", () =>
    Effect.gen(function*() {
      const { dblive, folder } = yield* shell
      const asked = yield* dblive(["init"])
      expect(asked).toMatchObject({ code: 2, out: "" })
      expect(asked.err).toContain("add --type (one of sqlite, postgresql, mysql, mssql)")
      const dry = yield* dblive(["init", "--type", "mysql", "--dry-run", "--json"])
      expect(JSON.parse(dry.out)).toMatchObject({
        ok: true,
        type: "mysql",
        packageManager: "npm",
        files: files.map((path) => ({ path, state: "planned" }))
      })
      expect(fs.readdirSync(folder)).toEqual([])
      // A link is there, also one to nothing.
      fs.symlinkSync("nothing", path.join(folder, ".env.example"))
      const linked = yield* dblive(["init", "--type", "mysql", "--dry-run", "--json"])
      expect(JSON.parse(linked.out).files[0]).toEqual({ path: ".env.example", state: "kept" })
    }))

  it.scopedLive("what it proposes are settings that there are, and no password", () =>
    Effect.gen(function*() {
      for (const family of families) {
        const { dblive, folder } = yield* shell
        expect((yield* dblive(["init", "-t", family])).code).toBe(0)
        const text = fs.readFileSync(path.join(folder, ".env.example"), "utf8")
        const names = [...text.matchAll(/^(?:# )?([A-Z_]+)=(.*)$/gm)]
        expect(names.length).toBeGreaterThan(2)
        for (const [, name, value] of names) {
          expect(known("default")).toContain(name)
          expect(name === "DATABASE_PASSWORD" ? value : "").toBe("")
        }
        // The example is a configuration as it stands; a server has to be there for the others.
        fs.copyFileSync(path.join(folder, ".env.example"), path.join(folder, ".env"))
        const migrated = yield* dblive(family === "sqlite" ? ["migrate"] : ["plan", "--help"])
        expect(migrated).toMatchObject({ code: 0 })
      }
    }), 60_000)

  it.scopedLive("a folder that cannot be written to is told", () =>
    Effect.gen(function*() {
      const { dblive, write } = yield* shell
      write("src", "a file in the place of the folder")
      const failed = yield* dblive(["init", "-t", "sqlite", "--json"])
      expect(failed.code).toBe(1)
      expect(JSON.parse(failed.out)).toMatchObject({
        ok: false,
        error: { _tag: "Answer", message: expect.stringContaining("src/db.ts cannot be written (EEXIST)") }
      })
    }))

  it("the package manager is that of the lock file, else the one that runs the command", () => {
    expect(managerOf(["pnpm-lock.yaml"], "npm/10.0.0 node/v20.0.0")).toBe("pnpm")
    expect(managerOf(["yarn.lock"], undefined)).toBe("yarn")
    expect(managerOf(["bun.lock"], undefined)).toBe("bun")
    expect(managerOf([], "pnpm/9.1.0 npm/? node/v20")).toBe("pnpm")
    expect(managerOf(["package.json"], undefined)).toBe("npm")
  })
})
