"""One conversion is counted once, however many calls, connections and servers report it."""

import collections
import threading

from harness import Decimal, STORES, Suite, over, wait_until


def volley(servers, endpoint, conversion_id, post_count, connection_count):
    """post_count postbacks of one id over connection_count connections, released at once; returns
    how often each (status, "status") was answered."""
    answers = collections.Counter()
    errors = []
    gate = threading.Barrier(connection_count)
    lock = threading.Lock()

    def client(index):
        own = range(index, post_count, connection_count)
        try:
            with servers[index % len(servers)].connect() as connection:
                gate.wait(30)
                for _ in own:
                    connection.request(
                        "GET", f"/partner{endpoint}?conversion_id={conversion_id}"
                        "&usd_sale_amount=10.10")
                for _ in own:
                    answer = connection.read()
                    with lock:
                        answers[answer.status, answer.json["status"]] += 1
        except Exception as error:  # pylint: disable=broad-except
            errors.append(repr(error))

    threads = [threading.Thread(target=client, args=(index,)) for index in range(connection_count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers, errors


@over(stores=STORES, short=True)
class Duplicates(Suite):
    def test_200_concurrent_posts_of_one_id_are_one_conversion(self):
        for _ in range(5):
            conversion_id = self.new_id("volley")
            answers, errors = volley([self.server], self.rector, conversion_id, 200, 64)
            self.assertEqual(errors, [])
            self.assertEqual(answers, {(200, "success"): 1, (200, "duplicate"): 199})
            self.conversion(conversion_id, "rector_db")

    def test_repeats_after_a_restart_are_recognised(self):
        ids = [self.new_id("restart") for _ in range(20)]
        for conversion_id in ids:
            self.server.postback(self.rector, {"conversion_id": conversion_id})
        self.assertEqual(self.server.stop()[0], 0)
        self.server.start()
        for conversion_id in [*ids, *ids]:
            answer = self.server.postback(self.rector, {"conversion_id": conversion_id})
            self.assertEqual((answer.status, answer.json["status"]), (200, "duplicate"))
        new = self.server.postback(self.rector, {"conversion_id": self.new_id("restart")})
        self.assertEqual(new.json["status"], "success")


@over(settings={"DEDUPE_IDS_MAX": 1000})
class SmallMemory(Suite):
    def test_repeats_of_ids_that_memory_forgot_are_recognised(self):
        ids = [self.new_id("forget") for _ in range(3000)]
        with self.server.connect() as connection:
            for expected in ("success", "duplicate"):
                found = collections.Counter()
                for start in range(0, len(ids), 10):
                    for conversion_id in ids[start:start + 10]:
                        connection.request("GET", "/partner/rector/event?conversion_id="
                                           + conversion_id)
                    for _ in range(10):
                        found[connection.read().json["status"]] += 1
                self.assertEqual(found, {expected: len(ids)})


@over(stores=("postgresql",))
class TwoServers(Suite):
    """Two processes on one database."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.second = cls.make_server("second")
        cls.second.start()

    def test_one_id_over_both_is_one_conversion(self):
        for _ in range(5):
            conversion_id = self.new_id("both")
            answers, errors = volley([self.server, self.second], self.rector, conversion_id, 200,
                                     64)
            self.assertEqual(errors, [])
            self.assertEqual(answers, {(200, "success"): 1, (200, "duplicate"): 199})
            self.conversion(conversion_id, "rector_db")

    def test_the_same_ids_in_another_order_do_not_deadlock(self):
        ids = [self.new_id("order") for _ in range(2000)]
        found = collections.Counter()
        lock = threading.Lock()

        def client(server, own):
            with server.connect() as connection:
                for start in range(0, len(own), 10):
                    for conversion_id in own[start:start + 10]:
                        connection.request("GET", "/partner/rector/event?conversion_id="
                                           + conversion_id)
                    for _ in own[start:start + 10]:
                        answer = connection.read()
                        with lock:
                            found[answer.status, answer.json["status"]] += 1

        threads = [threading.Thread(target=client, args=arguments) for arguments in (
            (self.server, ids), (self.second, ids[::-1]), (self.server, ids[1000:] + ids[:1000]),
            (self.second, ids))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(found, {(200, "success"): 2000, (200, "duplicate"): 6000})
        rows = self.database("rector_db").rows(
            "SELECT count(*) AS n, count(DISTINCT conversion_id) AS d FROM partner_conversions"
            " WHERE conversion_id LIKE 'order-%'")
        self.assertEqual(rows, [{"n": 2000, "d": 2000}])

    def test_stats_of_either_tell_of_both(self):
        before = self.server.get("/partner/involve/event/stats").json["stats"]
        for index, server in enumerate([self.server, self.second] * 10):
            # The third of each id is a repeat that crosses from one server to the other.
            server.postback(self.involve, {"conversion_id": f"shared-{index // 2}",
                                           "usd_sale_amount": "1.25"})

        def sums(server):
            stats = server.get("/partner/involve/event/stats").json["stats"]
            return tuple(stats[name] - before[name] for name in (
                "total_conversions", "duplicate_conversions", "total_sale_amount"))

        for server in (self.server, self.second):
            wait_until(lambda server=server: sums(server) == (10, 10, Decimal("12.50")), 5,
                       "both servers tell the same sums")
