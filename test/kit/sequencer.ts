/**
 * The order of the test files: those that take longest come first, so that none of them is left to run alone at the end. A
 * machine that has run the tests before knows by itself.
 */
import { BaseSequencer, type TestSpecification } from "vitest/node"

const longest = [
  // It builds the package; the others that need it come when it is built.
  "package/install",
  "failover/primary",
  "conformance/pgbouncer",
  "examples",
  "driver/mssql/serverByUrl",
  "replicas/replicas",
  "conformance/pg",
  "conformance/mssql",
  "migrator/concurrentProcesses",
  "failover/oneAddress",
  "failover/commit",
  "weight/minorCollections",
  "driver/sqlite/conformance",
  "migrator/sessionState",
  "conformance/sqlite",
  "conformance/mysql",
  "dbtest/layers",
  "dbtest/flakyBesideServers",
  "driver/sqlite/killedProcess",
  "DbConfig.secrets",
  "package/firstHour",
  "package/drivers",
  "package/init",
  "package/package",
  "package/runtimes",
  "http/statusPage",
  "cli/cli",
  "exampleService"
]

const rank = ({ moduleId }: TestSpecification): number => {
  const index = longest.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
  return index < 0 ? longest.length : index
}

export default class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}
