"""Deletes one topic: delete_topic.py BOOTSTRAP TOPIC"""

import sys

from confluent_kafka.admin import AdminClient

bootstrap, topic = sys.argv[1:]
admin = AdminClient({"bootstrap.servers": bootstrap})
admin.delete_topics([topic])[topic].result(30)
print(f"deleted {topic}")
