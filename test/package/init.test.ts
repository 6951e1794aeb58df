/** What `dblive init` writes is a project that works, with the package as its users have it. */
import { beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { families } from "../../src/internal/cli/templates.js"
import { clients, command } from "../../src/internal/driver/effectPackages.js"
import { namesOf, packageFolder } from "../kit/packages.js"
import { type Build, buildPackage, type Ended, Project } from "../kit/project.js"

const packages = [
  ...namesOf([...command, ...clients.sqlite]),
  "@effect/vitest",
  "@types/node",
  "better-sqlite3",
  "vitest"
]

/** Runs a program of JavaScript in a folder, with nothing of this test's environment. */
const node = (cwd: string, ...args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  Effect.async((resume) => {
    const child = execFile(
      process.execPath,
      args,
      { cwd, env: { PATH: process.env["PATH"], HOME: cwd, DATABASE_URL: "sqlite:///app.db" } },
      (error, stdout, stderr) =>
        resume(
          Effect.succeed({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, stdout, stderr })
        )
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const compilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noUnusedLocals: true,
  noEmit: true,
  module: "nodenext",
  target: "es2022",
  skipLibCheck: true,
  types: ["node"]
}

describe("dblive init", () => {
  let build: Build
  beforeAll(async () => {
    build = await buildPackage()
  }, 240_000)

  it.scopedLive(
    "writes a project that compiles, passes its test and migrates; a second time it writes nothing",
    () =>
      Effect.gen(function*() {
        const { directory } = yield* Project.make(build, packages)
        const dblive = (...args: ReadonlyArray<string>) =>
          node(directory, "node_modules/dblive/dist/internal/cli/main.js", ...args)
        const written = yield* dblive("init", "--type", "sqlite", "--json")
        expect(written).toMatchObject({ code: 0, stderr: "" })
        const { next } = JSON.parse(written.stdout) as { readonly next: ReadonlyArray<string> }
        // What is there need not be installed, and the project is one of modules.
        expect(next.join("\n")).not.toMatch(/better-sqlite3|@effect\/cli|type=module/)
        expect(next.join("\n")).toMatch(/^npm install --save-dev typescript@5 tsx@4$/m)

        fs.writeFileSync(
          path.join(directory, "tsconfig.json"),
          JSON.stringify({ compilerOptions, include: ["src", "test"] })
        )
        expect(yield* node(directory, path.join(packageFolder("typescript"), "bin/tsc"), "-p", ".")).toMatchObject({
          code: 0,
          stdout: ""
        })
        const tested = yield* node(directory, path.join(packageFolder("vitest"), "vitest.mjs"), "run")
        expect(tested, tested.stdout + tested.stderr).toMatchObject({ code: 0 })
        expect(tested.stdout).toMatch(/1 passed/)
        expect((yield* dblive("migrate")).stdout).toMatch(/^applied 1 migration in .*: version 001\n$/)

        fs.writeFileSync(path.join(directory, "src/db.ts"), "// mine\n")
        fs.rmSync(path.join(directory, "test/db.test.ts"))
        const again = yield* dblive("init", "--type", "postgresql")
        expect(again.stdout).toContain(
          "left as it is src/db.ts\nwrote         test/db.test.ts\n3 files of these names were there, and left\n"
        )
        expect(fs.readFileSync(path.join(directory, "src/db.ts"), "utf8")).toBe("// mine\n")
      }),
    180_000
  )

  it.scopedLive("what it writes compiles for each family of databases", () =>
    Effect.gen(function*() {
      const { directory } = yield* Project.make(build, packages)
      for (const family of families) {
        const folder = path.join(directory, family)
        fs.mkdirSync(folder)
        const main = path.join(directory, "node_modules/dblive/dist/internal/cli/main.js")
        const { code, stderr } = yield* node(folder, main, "init", "--type", family)
        expect(code, `${family}: ${stderr}`).toBe(0)
      }
      // All in one run of the compiler, most of whose time goes into declarations of packages.
      fs.writeFileSync(
        path.join(directory, "tsconfig.json"),
        JSON.stringify({ compilerOptions, include: families.flatMap((family) => [`${family}/src`, `${family}/test`]) })
      )
      expect(yield* node(directory, path.join(packageFolder("typescript"), "bin/tsc"), "-p", ".")).toMatchObject({
        code: 0,
        stdout: ""
      })
    }), 180_000)
})
