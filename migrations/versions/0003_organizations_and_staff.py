"""organizations and staff"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. The way back is a backup."""
    op.create_table('audit_check',
    sa.Column('place', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('events', sa.BigInteger(), nullable=False),
    sa.Column('fault', sa.String(length=16), nullable=True),
    sa.Column('fault_number', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('place', name=op.f('pk_audit_check'))
    )
    op.create_table('audit_seal_letter',
    sa.Column('place', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('chain', sa.String(length=64), nullable=False),
    sa.Column('upto', sa.BigInteger(), nullable=False),
    sa.Column('sealed_at', sa.BigInteger(), nullable=False),
    sa.Column('made_at', sa.BigInteger(), nullable=False),
    sa.Column('next_at', sa.BigInteger(), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('sent_at', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('place', name=op.f('pk_audit_seal_letter'))
    )
    op.create_table('figures_reached',
    sa.Column('source', sa.String(length=16), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('source', name=op.f('pk_figures_reached'))
    )
    op.create_table('figures',
    sa.Column('organization_id', sa.String(length=36), nullable=False),
    sa.Column('at', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('figure', sa.String(length=32), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.Column('cost', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['organization_id'], ['organizations.id'], name=op.f('fk_figures_organization_id_organizations')),
    sa.PrimaryKeyConstraint('organization_id', 'at', 'figure', name=op.f('pk_figures'))
    )
    op.create_table('policies',
    sa.Column('organization_id', sa.String(length=36), nullable=False),
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('made_at', sa.BigInteger(), nullable=False),
    sa.Column('made_by', sa.String(length=255), nullable=False),
    sa.Column('holds_from', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['organization_id'], ['organizations.id'], name=op.f('fk_policies_organization_id_organizations')),
    sa.PrimaryKeyConstraint('organization_id', 'number', name=op.f('pk_policies'))
    )
    op.create_table('policy_notices',
    sa.Column('organization_id', sa.String(length=36), nullable=False),
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('by_sms', sa.Boolean(), nullable=False),
    sa.Column('told_upto', sa.Integer(), nullable=False),
    sa.Column('ended_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['organization_id'], ['organizations.id'], name=op.f('fk_policy_notices_organization_id_organizations')),
    sa.PrimaryKeyConstraint('organization_id', 'number', name=op.f('pk_policy_notices'))
    )
    op.create_table('access_codes',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('person_id', sa.Integer(), nullable=False),
    sa.Column('stamp', sa.String(length=32), nullable=False),
    sa.Column('salt', sa.String(length=128), nullable=False),
    sa.Column('digest_key', sa.String(length=32), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('not_to', sa.String(length=32), nullable=False),
    sa.Column('made_at', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.Column('used_at', sa.BigInteger(), nullable=True),
    sa.Column('voided_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['person_id'], ['people.id'], name=op.f('fk_access_codes_person_id_people')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_access_codes'))
    )
    with op.batch_alter_table('access_codes', schema=None) as batch_op:
        batch_op.create_index('ix_access_codes_person_id', ['person_id'], unique=False)

    op.create_table('support_requests',
    sa.Column('id', sa.String(length=32), nullable=False),
    sa.Column('person_id', sa.Integer(), nullable=False),
    sa.Column('organization_id', sa.String(length=36), nullable=False),
    sa.Column('action', sa.String(length=24), nullable=False),
    sa.Column('target', sa.String(length=32), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('needs_approval', sa.Boolean(), nullable=False),
    sa.Column('needs_second', sa.Boolean(), nullable=False),
    sa.Column('needs_waiting', sa.Integer(), nullable=False),
    sa.Column('asked_by', sa.Integer(), nullable=False),
    sa.Column('asked_at', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.Column('contact_id', sa.String(length=32), nullable=False),
    sa.Column('finder', sa.String(length=64), nullable=False),
    sa.Column('digest', sa.String(length=64), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.Column('approved_at', sa.BigInteger(), nullable=True),
    sa.Column('second_by', sa.Integer(), nullable=True),
    sa.Column('confirmed_at', sa.BigInteger(), nullable=True),
    sa.Column('ready_at', sa.BigInteger(), nullable=True),
    sa.Column('ended_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['asked_by'], ['people.id'], name=op.f('fk_support_requests_asked_by_people')),
    sa.ForeignKeyConstraint(['organization_id'], ['organizations.id'], name=op.f('fk_support_requests_organization_id_organizations')),
    sa.ForeignKeyConstraint(['person_id'], ['people.id'], name=op.f('fk_support_requests_person_id_people')),
    sa.ForeignKeyConstraint(['second_by'], ['people.id'], name=op.f('fk_support_requests_second_by_people')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_support_requests'))
    )
    with op.batch_alter_table('support_requests', schema=None) as batch_op:
        batch_op.create_index('ix_support_requests_finder', ['finder'], unique=False)
        batch_op.create_index('ix_support_requests_organization_id', ['organization_id', 'state'], unique=False)
        batch_op.create_index('ix_support_requests_person_id', ['person_id'], unique=False)

    op.create_table('support_cancel_links',
    sa.Column('id', sa.String(length=64), nullable=False),
    sa.Column('request_id', sa.String(length=32), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['request_id'], ['support_requests.id'], name=op.f('fk_support_cancel_links_request_id_support_requests')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_support_cancel_links'))
    )
    with op.batch_alter_table('support_cancel_links', schema=None) as batch_op:
        batch_op.create_index('ix_support_cancel_links_expires_at', ['expires_at'], unique=False)

    with op.batch_alter_table('audit_events', schema=None) as batch_op:
        batch_op.add_column(sa.Column('organization_id', sa.String(length=36), nullable=True))
        batch_op.create_index('ix_audit_events_organization_id_at', ['organization_id', 'at', 'id', 'event', 'outcome', 'actor'], unique=False)

    # what is sealed stays as it was sealed, without an organization; what is not may still be completed
    op.execute(
        "UPDATE audit_events SET organization_id ="
        " (SELECT home_organization FROM people WHERE people.id = audit_events.person_id)"
        " WHERE id > (SELECT coalesce(max(upto), 0) FROM audit_seals)"
    )

    with op.batch_alter_table('contacts', schema=None) as batch_op:
        batch_op.add_column(sa.Column('home_organization', sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column('by_address', sa.String(length=255).with_variant(sa.String(length=255, collation='C'), 'postgresql'), nullable=True))
        batch_op.create_index('ix_contacts_by_address', ['home_organization', 'by_address'], unique=False, sqlite_where=sa.text('by_address IS NOT NULL'), postgresql_where=sa.text('by_address IS NOT NULL'))
        batch_op.create_index('ix_contacts_without_keys', ['id'], unique=False, sqlite_where=sa.text('home_organization IS NULL'), postgresql_where=sa.text('home_organization IS NULL'))

    with op.batch_alter_table('memberships', schema=None) as batch_op:
        batch_op.add_column(sa.Column('proposed_at', sa.BigInteger(), nullable=True))
        batch_op.drop_index(batch_op.f('ix_memberships_organization_id'))
        batch_op.create_index('ix_memberships_organization_id_is_primary', ['organization_id', 'is_primary'], unique=False)
        batch_op.create_index('ix_memberships_staff', ['organization_id'], unique=False, sqlite_where=sa.text("role <> 'member'"), postgresql_where=sa.text("role <> 'member'"))

    with op.batch_alter_table('organizations', schema=None) as batch_op:
        batch_op.drop_column('profile')

    with op.batch_alter_table('outbox', schema=None) as batch_op:
        batch_op.add_column(sa.Column('organization_id', sa.String(length=36), nullable=True))
        batch_op.add_column(sa.Column('spent_at', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('country', sa.String(length=2), nullable=True))
        batch_op.add_column(sa.Column('number_prefix', sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column('price', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('verified_at', sa.BigInteger(), nullable=True))
        batch_op.drop_index(batch_op.f('ix_outbox_provider_sid'))
        batch_op.create_index('ix_outbox_provider_sid', ['provider_sid'], unique=False, sqlite_where=sa.text('provider_sid IS NOT NULL'), postgresql_where=sa.text('provider_sid IS NOT NULL'))
        batch_op.create_index('ix_outbox_spent', ['spent_at', 'purpose', 'country', 'organization_id', 'number_prefix', 'sent_at', 'verified_at', 'price'], unique=False, sqlite_where=sa.text('spent_at IS NOT NULL'), postgresql_where=sa.text('spent_at IS NOT NULL'))
        batch_op.create_foreign_key(batch_op.f('fk_outbox_organization_id_organizations'), 'organizations', ['organization_id'], ['id'])

    with op.batch_alter_table('people', schema=None) as batch_op:
        batch_op.add_column(sa.Column('by_id', sa.String(length=255).with_variant(sa.String(length=255, collation='C'), 'postgresql'), nullable=True))
        batch_op.add_column(sa.Column('by_first', sa.String(length=255).with_variant(sa.String(length=255, collation='C'), 'postgresql'), nullable=True))
        batch_op.add_column(sa.Column('by_last', sa.String(length=255).with_variant(sa.String(length=255, collation='C'), 'postgresql'), nullable=True))
        batch_op.create_index('ix_people_by_first', ['home_organization', 'by_first'], unique=False)
        batch_op.create_index('ix_people_by_id', ['home_organization', 'by_id'], unique=False)
        batch_op.create_index('ix_people_by_last', ['home_organization', 'by_last'], unique=False)
        batch_op.create_index('ix_people_without_keys', ['id'], unique=False, sqlite_where=sa.text('by_id IS NULL'), postgresql_where=sa.text('by_id IS NULL'))
